//! Configuration files: what is understood of real ones, what is said of broken ones, and that
//! neither gives a secret away.

#[path = "config/clients.rs"]
mod clients;
#[path = "config/environment.rs"]
mod environment;
#[path = "config/expansion.rs"]
mod expansion;
#[path = "config/files.rs"]
mod files;
#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/properties.rs"]
mod properties;
#[path = "config/secrets.rs"]
mod secrets;
#[path = "config/upkeep.rs"]
mod upkeep;
#[path = "config/world.rs"]
mod world;
