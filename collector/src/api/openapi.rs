//! The OpenAPI document: made from the handlers' own descriptions and the answers' own types.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::problem::Problem;
use crate::access::decide::{Need, need};

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
                       (Prometheus remote write), which is not described here. On loopback nobody proves who they are; on any other \
                       address one does, by a token (`wan-collector tokens add`) or by the cookie of a login at /login.",
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
        super::quality::get_quality,
        super::get_coverage,
        super::get_reach,
        super::get_agents,
        super::report::get_report,
        super::get_uptime,
        super::planned::get_planned,
        super::planned::post_planned,
        super::planned::delete_planned,
        crate::incidents::endpoint::list,
        crate::incidents::endpoint::one,
        crate::alert::endpoint::list,
        crate::alert::endpoint::one,
        crate::alert::endpoint::take,
        crate::alert::endpoint::leave,
        crate::alert::endpoint::silences,
        crate::alert::endpoint::silence,
        crate::alert::endpoint::unsilence
    ),
    components(schemas(Problem)),
    modifiers(&Access),
    tags(
        (name = "api", description = "Figures and states"),
        (name = "metrics", description = "For Prometheus"),
        (name = "health", description = "For supervisors and load balancers")
    )
)]
struct Document;

/// Says of every path what it needs of who asks, as [`crate::access::decide`] does.
struct Access;

impl Modify for Access {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let cookie = ApiKeyValue::with_description(
            "__Host-wanwatch",
            "Set by a login at /login; over plain HTTP `wanwatch`",
        );
        components.add_security_scheme("login", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        for (path, item) in &mut document.paths.paths {
            if need(&http::Method::GET, path) == Need::Nothing {
                continue;
            }
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                restrict(operation);
            }
        }
    }
}

fn restrict(operation: &mut Operation) {
    let none: [&str; 0] = [];
    // One of the three suffices; the last is for loopback.
    operation.security = Some(vec![
        SecurityRequirement::new("token", none),
        SecurityRequirement::new("login", none),
        SecurityRequirement::default(),
    ]);
    let answers = [
        ("401", "A login or a token is needed, or the one that was sent is not good"),
        ("403", "The login or token does not allow this"),
    ];
    for (status, description) in answers {
        operation.responses.responses.insert(status.to_owned(), RefOr::T(problem(description)));
    }
}

fn problem(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}
