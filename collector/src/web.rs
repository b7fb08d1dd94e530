//! The page.
use crate::api::App;
use axum::response::{IntoResponse, Response};
/// The addresses of the page.
pub fn router(_app: App) -> axum::Router {
    axum::Router::new()
}
/// What is answered where there is no page.
pub fn not_found() -> Response {
    (axum::http::StatusCode::NOT_FOUND, "not found\n").into_response()
}
