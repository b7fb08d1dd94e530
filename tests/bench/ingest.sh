#!/usr/bin/env bash
# Ingest against Debian's victoria-metrics: the same requests, one server after the other, several times in turn.
#
# The server has core 0 for itself, the load generator core 1. Each measurement starts a fresh server on an empty folder, lets
# every site push twice (a server meets its series for the first time then), and measures what follows.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
  cat <<'TEXT'
usage: tests/bench/ingest.sh [--sites N] [--rounds N] [--repeat N] [--rate N] [--only collector|victoria-metrics]

  --sites N     sites that push (default 1000)
  --rounds N    measured rounds a site (default: 200,000 requests in all)
  --repeat N    measurements of each server (default 5)
  --rate N      open loop at N requests a second, for latencies; default: closed loop, for throughput and CPU
  --only NAME   one server only
  --no-build    take target/release as it is
TEXT
}

sites=1000 rounds= repeat=5 rate= only= build=yes
while (($#)); do
  case $1 in
    --sites) sites=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --repeat) repeat=$2; shift 2 ;;
    --rate) rate=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    --no-build) build=; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
rounds=${rounds:-$((200000 / sites))}
open_loop=()
[[ -n $rate ]] && open_loop=(--rate "$rate")
servers=(collector victoria-metrics)
[[ -n $only ]] && servers=("$only")
for server in "${servers[@]}"; do
  if [[ $server == victoria-metrics ]] && ! command -v victoria-metrics >/dev/null; then
    echo "victoria-metrics is missing: apt-get install victoria-metrics" >&2
    exit 1
  fi
done

[[ -n $build ]] && cargo build --release --locked -p wan-collector -p wan-tests --bins
bin=target/release
# Two at once would measure each other.
exec 8>/tmp/wanwatch-bench.lock
flock -n 8 || { echo "another ingest benchmark runs on this machine: waiting for its end" >&2; flock 8; }
work=$(mktemp -d "${WANWATCH_BENCH_DIR:-target}/bench.XXXXXX")
work=$(cd "$work" && pwd)
server_pid=
cleanup() {
  [[ -n $server_pid ]] && kill -KILL "$server_pid" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# The register, and a secret for each of its sites. Made once: each measurement starts from a copy.
{
  echo "id,name,tier,branch"
  for ((site = 1; site <= sites; site++)); do printf 'site-%05d,Site %d,commune,state\n' "$site" "$site"; done
} >"$work/sites.csv"
port=18080
while (exec 7<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
mkdir "$work/template"
printf 'listen: "127.0.0.1:%d"\ndata: %s\n' "$port" "$work/data" >"$work/collector.yaml"
mkdir "$work/data"
"$bin/wan-collector" --config "$work/collector.yaml" sites import "$work/sites.csv" >/dev/null
"$bin/wan-collector" --config "$work/collector.yaml" agents issue --all --output "$work/secrets.csv" >/dev/null
cp -r "$work/data/." "$work/template/"

start() {
  rm -rf "$work/data"
  mkdir "$work/data"
  case $1 in
    collector)
      cp -r "$work/template/." "$work/data/"
      taskset -c 0 "$bin/wan-collector" --config "$work/collector.yaml" serve --log warn >"$work/server.log" 2>&1 8>&- &
      ;;
    victoria-metrics)
      taskset -c 0 victoria-metrics -storageDataPath="$work/data" -httpListenAddr="127.0.0.1:$port" -retentionPeriod=1 \
        >"$work/server.log" 2>&1 8>&- &
      ;;
  esac
  server_pid=$!
  for ((try = 0; try < 300; try++)); do
    (exec 7<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "$1 did not start:" >&2
  tail -n 20 "$work/server.log" >&2
  exit 1
}

stop() {
  kill -TERM "$server_pid"
  wait "$server_pid" || true
  server_pid=
}

# What was acknowledged is there: the figures of the first and the last site, read from the folder after the collector's stop.
# The load's warm-up is two rounds; a round is 5 s; the last one speaks on until now, for at most the silence limit of 15 s.
check_evidence() {
  local expected=$(((rounds + 2) * 5000)) site figures
  for site in site-00001 "$(printf 'site-%05d' "$sites")"; do
    figures=$("$bin/wan-collector" --config "$work/collector.yaml" uptime --site "$site" --from -30d --format json \
      | grep -o '"up_ms":[0-9]*,"degraded_ms":[0-9]*,"down_ms":[0-9]*' | tr -c '0-9\n' ' ')
    awk -v expected="$expected" -v site="$site" '
      $1 + $2 + $3 < expected || $1 + $2 + $3 > expected + 15000 { printf "%s: %d ms observed, %d acknowledged\n", site, $1 + $2 + $3, expected; bad = 1 }
      END { if (NR < 4) print site ": too few links"; exit bad || NR < 4 }' <<<"$figures" >&2
  done
}

for ((turn = 1; turn <= repeat; turn++)); do
  for server in "${servers[@]}"; do
    start "$server"
    taskset -c 1 "$bin/wan-load" --server "127.0.0.1:$port" --secrets "$work/secrets.csv" --sites "$sites" \
      --rounds "$rounds" --server-pid "$server_pid" --seed "$turn" "${open_loop[@]}" >"$work/result.json"
    stop
    [[ $server == collector ]] && check_evidence
    printf '%-17s turn %d  ' "$server" "$turn"
    cat "$work/result.json"
    cat "$work/result.json" >>"$work/$server.results"
  done
done

# Median (least–most) of a figure over a server's measurements.
figure() {
  grep -o "\"$2\":[0-9.]*" "$work/$1.results" | cut -d: -f2 | sort -n | awk '
    { value[NR] = $1 }
    END {
      median = NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2
      printf "%.5g (%.5g–%.5g)", median, value[1], value[NR]
    }'
}

printf '\n%s sites, %s rounds each, %d turns: median (least–most)\n' "$sites" "$rounds" "$repeat"
printf '%-28s' figure
printf '%-28s' "${servers[@]}"
printf '\n'
for key in server_cpu_us_per_sample requests_per_second samples_per_second p50_ms p99_ms p999_ms max_ms server_rss_mb \
  server_rss_peak_mb client_core_share client_cpu_us_per_sample; do
  printf '%-28s' "$key"
  for server in "${servers[@]}"; do printf '%-28s ' "$(figure "$server" "$key")"; done
  printf '\n'
done
