//! The OpenAPI document: made from the handlers' own descriptions and the answers' own types.

use utoipa::OpenApi;

use super::problem::Problem;

/// The document served at `/api/v1/openapi.json`.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Wanwatch collector",
        description = "Who is connected to the provincial WAN, and how reliably. Times are Unix milliseconds and, beside \
                       them with `_local`, RFC 3339 in the province's zone. Windows are half-open: `to` is not part of \
                       them. Ratios are 0 to 1, and null where nothing can be said. Agents push to /api/v1/write \
                       (Prometheus remote write), which is not described here.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        super::healthz,
        super::readyz,
        super::get_metrics,
        super::get_openapi,
        super::get_overview,
        super::get_sites,
        super::get_site,
        super::get_timeline,
        super::get_coverage,
        super::get_agents,
        super::get_uptime
    ),
    components(schemas(Problem)),
    tags(
        (name = "api", description = "Figures and states"),
        (name = "metrics", description = "For Prometheus"),
        (name = "health", description = "For supervisors and load balancers")
    )
)]
struct Document;
