//! What the manager is told about itself: the `"manager": {...}` at the root of the file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mcp_router::Rule;

use super::care::Care;
use super::policies::ToolPolicy;
use super::policy::Policy;
use super::preset::Preset;
use super::spec::{ProtocolEra, ServerSettings};
use super::upkeep::{Checks, ResourceLimits, Restarts, Scaling, Sessions};

/// The manager's own settings. Every field is one key, in camel case, of the `"manager"` object at
/// the root; the last words of a field's documentation are its bounds.
///
/// Durations are strings in the file: `500ms`, `30s`, `5m`, `1h`; above 0 and at most
/// [`DURATION_MAX`](super::DURATION_MAX).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// `namespace`: how tools of different servers are kept apart. Default: `server`.
    pub namespace: Namespace,

    /// `listen`: where the endpoint listens, an IP address and a port. Default: none, the caller
    /// decides.
    pub listen: Option<SocketAddr>,

    /// `admin`: where the administration listens. Default: none, the caller decides.
    pub admin: Option<SocketAddr>,

    /// `allowedHosts`: `Host` headers to accept besides those of the address listened on, such as
    /// `mcp.example.com` or `mcp.example.com:8443`. Compared as written: no wildcards. Default:
    /// none, which keeps DNS rebinding out.
    pub allowed_hosts: Vec<String>,

    /// `allowedOrigins`: `Origin` headers to accept, such as `https://app.example.com`. Default:
    /// none, which keeps web pages out.
    pub allowed_origins: Vec<String>,

    /// `listTimeout`: how long a merged list waits for a slow server before it is given without
    /// that server's part. Default: 5 s.
    pub list_timeout: Duration,

    /// `callTimeout`: how long a call may go without an answer or a sign of progress.
    /// Default: 60 s.
    pub call_timeout: Duration,

    /// `callTimeoutMax`: how long a call may take in all, however much progress it reports.
    /// Default: 10 min. At least `callTimeout`.
    pub call_timeout_max: Duration,

    /// `startTimeout`: how long a server may take to start and shake hands. The first start of an
    /// `npx` server downloads it. Default: 30 s.
    pub start_timeout: Duration,

    /// `maxSessions`: client sessions at a time; one more is refused. Default: 1000; 1 to
    /// 1,000,000.
    pub sessions_max: usize,

    /// `sessionIdle`: a session that nobody used for this long is closed. Default: 30 min.
    pub session_idle: Duration,

    /// `resumeTimeout`: how long a call of a session goes on when its event stream was cut, so that
    /// the client can come back to it. Default: 10 s.
    pub resume_timeout: Duration,

    /// `stateDir`: a directory in which sessions and their events are kept, so that they outlive the
    /// manager; a relative path starts where `cwd` does. Default: none, they end with it.
    pub state_dir: Option<PathBuf>,

    /// `restart`, `restartsMax`, `restartPeriod`, `restartPauseMax`: when a process that ended is started again, of
    /// servers whose entry says nothing.
    pub restarts: Restarts,

    /// `healthCheck` (`auto`, `ping` or `none`), `healthInterval`, `healthTimeout`, `unhealthyAfter`,
    /// `healthyAfter`, `restartUnhealthy`: how the health is found out of servers whose entry says
    /// nothing.
    pub checks: Checks,

    /// `maxMemory`, `maxProcesses`, `maxOpenFiles`, `maxCpu`: what each replica may use of servers that
    /// are started here and whose entry says nothing.
    pub limits: ResourceLimits,

    /// `scaleTarget`; see [`Scaling::target`], for servers whose entry says nothing.
    pub scale_target: usize,

    /// `scaleCooldown`; see [`Scaling::cooldown`], for servers whose entry says nothing.
    pub scale_cooldown: Duration,

    /// `preset`: what stands for the keys that the file does not say. Default: none.
    pub preset: Option<Preset>,

    /// `breaker` to `balance`; see [`Policy`], for servers whose entry says nothing.
    pub policy: Policy,

    /// `tools`: what is different for tools whose names match a pattern, of all servers.
    pub tools: Vec<ToolPolicy>,

    /// `rules`: where calls go that do not go where their name says; the first that holds. Calls have the
    /// method, tool, server, client (by `clientInfo.name`) and arguments to go by.
    pub rules: Vec<Rule>,

    /// `drainTimeout`: how long calls in flight may take to finish when the manager is told to end,
    /// or a server is removed or replaced. Default: 10 s.
    pub drain_timeout: Duration,

    /// `watch`: whether the file is read again when it changes. Default: `true`.
    pub watch: bool,

    /// `maxFrameBytes`: the largest message accepted from either side, in bytes; in the file a
    /// number of bytes, or a string such as `16MiB`. This much memory a message may cost.
    /// Default: 16 MiB; 1 KiB to 1 GiB.
    pub frame_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let scaling = Scaling::default();
        Self {
            restarts: Restarts::default(),
            checks: Checks::default(),
            limits: ResourceLimits::default(),
            scale_target: scaling.target,
            scale_cooldown: scaling.cooldown,
            preset: None,
            policy: Policy::default(),
            tools: Vec::new(),
            rules: Vec::new(),
            namespace: Namespace::Server,
            listen: None,
            admin: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            list_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(60),
            call_timeout_max: Duration::from_secs(10 * 60),
            start_timeout: Duration::from_secs(30),
            sessions_max: 1000,
            session_idle: Duration::from_secs(30 * 60),
            resume_timeout: Duration::from_secs(10),
            state_dir: None,
            drain_timeout: Duration::from_secs(10),
            watch: true,
            frame_bytes_max: 16 << 20,
        }
    }
}

impl Settings {
    /// The keys whose values differ and are read once, when the manager starts. What servers are told
    /// ([`for_server`](Self::for_server)) is not among them: that can change while it runs.
    pub fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        // Each field is named, so that a new one cannot be forgotten here.
        let Self {
            namespace,
            listen,
            admin,
            allowed_hosts,
            allowed_origins,
            list_timeout: _,
            call_timeout: _,
            call_timeout_max: _,
            start_timeout: _,
            restarts: _,
            checks: _,
            limits: _,
            scale_target: _,
            scale_cooldown: _,
            preset: _,
            policy: _,
            tools: _,
            rules: _,
            sessions_max,
            session_idle,
            resume_timeout,
            state_dir,
            drain_timeout,
            watch,
            frame_bytes_max,
        } = self;
        let same = [
            ("namespace", *namespace == other.namespace),
            ("listen", *listen == other.listen),
            ("admin", *admin == other.admin),
            ("allowedHosts", *allowed_hosts == other.allowed_hosts),
            ("allowedOrigins", *allowed_origins == other.allowed_origins),
            ("maxSessions", *sessions_max == other.sessions_max),
            ("sessionIdle", *session_idle == other.session_idle),
            ("resumeTimeout", *resume_timeout == other.resume_timeout),
            ("stateDir", *state_dir == other.state_dir),
            ("drainTimeout", *drain_timeout == other.drain_timeout),
            ("watch", *watch == other.watch),
            ("maxFrameBytes", *frame_bytes_max == other.frame_bytes_max),
        ];
        same.iter().filter(|(_, same)| !same).map(|(key, _)| *key).collect()
    }

    pub(super) fn care(&mut self) -> Care<'_> {
        Care {
            restarts: &mut self.restarts,
            checks: &mut self.checks,
            limits: &mut self.limits,
            target: &mut self.scale_target,
            cooldown: &mut self.scale_cooldown,
        }
    }

    /// What a server is told whose entry says nothing.
    pub fn for_server(&self) -> ServerSettings {
        ServerSettings {
            sessions: Sessions::default(),
            spares: 1,
            scaling: Scaling {
                target: self.scale_target,
                cooldown: self.scale_cooldown,
                ..Scaling::default()
            },
            restarts: self.restarts.clone(),
            checks: self.checks.clone(),
            limits: self.limits.clone(),
            policy: self.policy.clone(),
            tools: self.tools.clone(),
            protocol_era: ProtocolEra::Auto,
            list_timeout: self.list_timeout,
            call_timeout: self.call_timeout,
            call_timeout_max: self.call_timeout_max,
            start_timeout: self.start_timeout,
        }
    }
}

/// How tools of different servers are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// `server`: names carry the name of their server.
    #[default]
    Server,
    /// `none`: names stay as they are.
    None,
}
