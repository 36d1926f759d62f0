//! A small metadata server for `examples/lookup`: answers `GET /tracks?artist=…&title=…` from a file.
//!
//! ```sh
//! cargo run --example metadata -- examples/lookup/metadata.json 127.0.0.1:8099
//! ```

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "a program that people watch")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("name a file, such as examples/lookup/metadata.json")?;
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8099".to_owned());
    let tracks: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let app = Router::new()
        .route("/tracks", get(find))
        .with_state(Arc::new(tracks));
    axum::serve(listener, app).await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program that people watch")]
async fn find(
    State(tracks): State<Arc<Vec<Value>>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Json<Value>, StatusCode> {
    let is_it = |track: &&Value| {
        ["artist", "title"]
            .iter()
            .all(|key| track[key].as_str() == asked.get(*key).map(String::as_str))
    };
    let found = tracks.iter().find(is_it);
    let of = |key| asked.get(key).map_or("", String::as_str);
    let answer = if found.is_some() { "found" } else { "unknown" };
    println!("asked: {} - {}: {answer}", of("artist"), of("title"));
    found.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}
