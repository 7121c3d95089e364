//! A fleet that is reloaded: what counts as a change, who is served by which reload, what is told.
//! That processes and sessions outlive it is shown with real ones, in the system tests.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_manager::config::{Config, ProcessLookup, Settings};
use mcp_manager::reload::{ConfigFile, ReloadError, Reloader};
use mcp_manager::{Custom, Definition, Fleet, Plan};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A fleet and the file that it is made of.
struct Stage {
    dir: TempDir,
    fleet: Arc<Fleet>,
    reloader: Reloader,
}

impl Stage {
    /// Begins with servers of these names.
    fn with(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mcp.json");
        fs::write(&path, servers(names)).expect("a file");
        let file = ConfigFile::new(&path);
        let config = Config::load(&path, &ProcessLookup).expect("a configuration");
        let fleet = Arc::new(Fleet::new(Plan::from(config)).expect("a fleet"));
        let reloader = Reloader::new(Arc::clone(&fleet), file);
        Self { dir, fleet, reloader }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mcp.json")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("a file");
    }

    /// The names of the fleet's servers, in order.
    fn names(&self) -> Vec<String> {
        self.fleet.servers().iter().map(|server| server.name().to_owned()).collect()
    }

    fn generation(&self) -> u64 {
        self.reloader.status().generation
    }
}

/// A file with servers of these names. No program of theirs exists: nothing is ever started.
fn servers(names: &[&str]) -> String {
    let entry = |name: &&str| format!(r#""{name}": {{"command": "/no/such/program"}}"#);
    let entries: Vec<_> = names.iter().map(entry).collect();
    format!(r#"{{"mcpServers": {{{}}}}}"#, entries.join(","))
}

#[tokio::test(start_paused = true)]
async fn the_file_says_which_servers_there_are_and_in_which_order() {
    let stage = Stage::with(&["a", "b", "c"]);
    stage.write(&servers(&["d", "c", "a"]));
    let reloaded = stage.reloader.reload().await.expect("a good file");
    assert_eq!(
        (&reloaded.changes.added[..], &reloaded.changes.removed[..]),
        (&["d".to_owned()][..], &["b".to_owned()][..])
    );
    assert_eq!(reloaded.changes.unchanged, ["c", "a"]);
    assert!(!reloaded.is_idle() && reloaded.generation == 2);
    assert_eq!(stage.names(), ["d", "c", "a"]);
    let again = stage.reloader.reload().await.expect("the same file");
    assert!(again.is_idle());
    stage.fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_file_never_had_is_left_alone() {
    let stage = Stage::with(&["a", "b"]);
    let custom = Custom::new(|| std::future::ready(Err("it does not exist".to_owned())));
    stage.fleet.add(Definition::custom("guest", custom)).await.expect("another server");
    stage.write(&servers(&["b"]));
    let reloaded = stage.reloader.reload().await.expect("a good file");
    assert_eq!(reloaded.changes.removed, ["a"]);
    assert_eq!(stage.names(), ["b", "guest"]);
    // Once the file has it, it is the file's: also when it goes.
    stage.write(&servers(&["b", "guest"]));
    stage.reloader.reload().await.expect("a good file");
    stage.write(&servers(&["b"]));
    let reloaded = stage.reloader.reload().await.expect("a good file");
    assert_eq!(reloaded.changes.removed, ["guest"]);
    assert_eq!(stage.names(), ["b"]);
    stage.fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_changes_the_status_and_nothing_else() {
    let stage = Stage::with(&["a"]);
    let before = stage.reloader.status();
    assert!(before.ok && before.error.is_none() && before.generation == 1);
    stage.write("{\n  \"mcpServers\": [");
    let refused = stage.reloader.reload().await.expect_err("half a file");
    assert!(matches!(refused, ReloadError::Config(_)), "{refused}");
    let status = stage.reloader.status();
    let place = format!("{}:2:", stage.path().display());
    assert!(status.error.as_ref().is_some_and(|error| error.contains(&place)), "{status:?}");
    assert_eq!((status.ok, status.generation, status.loaded_at), (false, 1, before.loaded_at));
    fs::remove_file(stage.path()).expect("a file");
    assert!(stage.reloader.reload().await.is_err());
    assert_eq!(stage.names(), ["a"]);
    stage.write(&servers(&["a"]));
    assert!(stage.reloader.reload().await.expect("a good file").is_idle());
    let status = stage.reloader.status();
    assert_eq!((status.ok, status.error, status.generation), (true, None, 2));
    assert!(status.loaded_at >= before.loaded_at);
    stage.fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_are_served_by_one() {
    let stage = Stage::with(&["a"]);
    let mut asking = JoinSet::new();
    for number in 0..100 {
        // Each changes the file, then asks: what it wrote must be seen by the reload that serves it.
        stage.write(&servers(&["a", &format!("s{number}")]));
        let (reloader, fleet) = (stage.reloader.clone(), Arc::clone(&stage.fleet));
        asking.spawn(async move {
            let generation = reloader.reload().await.expect("a good file").generation;
            (generation, fleet.server("s99").is_some())
        });
    }
    let served = asking.join_all().await;
    // On one thread nobody reloads before all have written and asked.
    assert!(served.iter().all(|(generation, seen)| *generation <= 3 && *seen), "{served:?}");
    assert!(stage.generation() <= 3);
    stage.fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_while_a_reload_runs_gets_another() {
    // Takes connections, and says nothing: a server there is waited for until its start timeout.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = silent.local_addr().expect("an address");
    let stage = Stage::with(&["slow"]);
    let text = |more: &str| {
        format!(r#"{{"mcpServers": {{"slow": {{"url": "http://{place}/mcp"}}{more}}}}}"#)
    };
    stage.write(&text(""));
    let reloader = stage.reloader.clone();
    let first = tokio::spawn(async move { reloader.reload().await });
    sleep(Duration::from_secs(1)).await;
    assert!(!first.is_finished());
    stage.write(&text(r#", "late": {"command": "/no/such/program"}"#));
    let second = stage.reloader.reload().await.expect("a good file");
    assert!(stage.fleet.server("late").is_some(), "{second:?}");
    let first = first.await.expect("an outcome").expect("a good file");
    assert!(first.generation == 2 && second.generation == 3, "{first:?} {second:?}");
    drop(silent);
    stage.fleet.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_needs_to_wait() {
    let stage = Stage::with(&["a"]);
    let mut outcomes = stage.reloader.outcomes();
    stage.write(&servers(&["b"]));
    let waiting = tokio::spawn({
        let reloader = stage.reloader.clone();
        async move { reloader.reload().await }
    });
    tokio::task::yield_now().await;
    waiting.abort();
    outcomes.changed().await.expect("an outcome");
    assert!(matches!(&*outcomes.borrow(), Some(Ok(_))));
    assert_eq!(stage.names(), ["b"]);
    stage.reloader.request();
    outcomes.changed().await.expect("another outcome");
    assert_eq!(stage.generation(), 3);
    stage.fleet.stop().await;
}

#[cfg(feature = "watch")]
#[tokio::test(start_paused = true)]
async fn a_change_is_seen_without_being_told_and_read_once() {
    let stage = Stage::with(&["a"]);
    // Between the file's first look and the watch.
    stage.write(&servers(&["b"]));
    let reloader = stage.reloader.clone();
    let watch = tokio::spawn(async move { reloader.follow().await });
    sleep(Duration::from_secs(5)).await;
    assert_eq!((stage.names(), stage.generation()), (vec!["b".to_owned()], 2));
    // No change, no reload.
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.generation(), 2);
    // A storm: at most one reload in two seconds, and the last state in the end.
    for number in 0..100 {
        stage.write(&servers(&[&format!("s{number}"), &"x".repeat(1 + number)]));
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(5)).await;
    assert!((3..=9).contains(&stage.generation()), "{}", stage.generation());
    assert_eq!(stage.names()[0], "s99");
    // It goes, and comes back.
    let generation = stage.generation();
    fs::remove_file(stage.path()).expect("a file");
    sleep(Duration::from_secs(5)).await;
    assert!(!stage.reloader.status().ok);
    stage.write(&servers(&["c"]));
    sleep(Duration::from_secs(5)).await;
    assert_eq!((stage.names(), stage.generation()), (vec!["c".to_owned()], generation + 1));
    watch.abort();
    stage.fleet.stop().await;
}

#[test]
fn each_setting_that_is_read_once_is_named_by_its_key() {
    let differences = |block: &str| {
        let text = format!(r#"{{"mcpServers": {{}}, "manager": {{{block}}}}}"#);
        let config = Config::parse(&text, "mcp.json", &ProcessLookup).expect(block);
        Settings::default().fixed_differences(&config.settings)
    };
    let fixed = [
        ("namespace", r#""none""#),
        ("listen", r#""127.0.0.1:1""#),
        ("admin", r#""127.0.0.1:1""#),
        ("allowedHosts", r#"["h"]"#),
        ("allowedOrigins", r#"["http://h"]"#),
        ("maxSessions", "7"),
        ("sessionIdle", r#""7s""#),
        ("resumeTimeout", r#""7s""#),
        ("stateDir", r#""d""#),
        ("drainTimeout", r#""7s""#),
        ("watch", "false"),
        ("maxFrameBytes", "7777"),
    ];
    for (key, value) in fixed {
        assert_eq!(differences(&format!(r#""{key}": {value}"#)), [key]);
    }
    // What servers are told concerns those that run.
    let live = r#""callTimeout": "7s", "callTimeoutMax": "8s", "startTimeout": "7s",
        "listTimeout": "7s", "restart": "temporary", "healthInterval": "7s", "maxMemory": "7MiB",
        "scaleTarget": 7, "scaleCooldown": "7s""#;
    assert_eq!(differences(live), Vec::<&str>::new());
}
