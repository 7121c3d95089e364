//! The server that the official conformance suite asks for, over stdio, HTTP, WebSocket and TCP.
//!
//! The suite prescribes tool, prompt and resource names and what each must answer. This server
//! offers all of them on rmcp, an implementation that shares no code with the gateway: whatever the
//! suite finds behind the gateway and not here is the gateway's.
//!
//! It speaks both eras: sessions opened by `initialize`, and stateless 2026-07-28 requests.

mod args;
mod ask;
mod call;
mod handler;
mod http;
mod media;
mod prompts;
mod resources;
mod state;
mod tcp;
mod tools;
mod websocket;

pub use args::{Args, Era, Face};
pub use state::Fixture;

use rmcp::ServiceExt;

/// Serves until the client leaves, or until it is killed.
pub async fn run(args: Args) -> std::io::Result<()> {
    let fixture = Fixture::new(args.era);
    match args.face {
        Face::Stdio => {
            let running = fixture.serve(rmcp::transport::stdio()).await;
            // A client that leaves before it said hello is nobody's failure.
            let Ok(running) = running else { return Ok(()) };
            running.waiting().await.map_err(std::io::Error::other)?;
            Ok(())
        }
        Face::Tcp { until_stdin_closes: false } => tcp::serve(fixture).await,
        Face::Tcp { until_stdin_closes: true } => tokio::select! {
            served = tcp::serve(fixture) => served,
            ended = stdin_ended() => ended,
        },
        Face::Http { port, until_stdin_closes: false } => http::serve(fixture, port).await,
        Face::Http { port, until_stdin_closes: true } => tokio::select! {
            served = http::serve(fixture, port) => served,
            ended = stdin_ended() => ended,
        },
        Face::Ws { port, until_stdin_closes: false } => websocket::serve(fixture, port).await,
        Face::Ws { port, until_stdin_closes: true } => tokio::select! {
            served = websocket::serve(fixture, port) => served,
            ended = stdin_ended() => ended,
        },
    }
}

async fn stdin_ended() -> std::io::Result<()> {
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await.map(drop)
}
