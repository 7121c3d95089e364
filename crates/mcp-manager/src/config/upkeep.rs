//! How a server is kept running: replicas, restarts, health checks, limits.

use std::time::Duration;

/// Who shares a session of a server that has sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sessions {
    /// `per-session`: each client has its own, opened when it is first needed.
    #[default]
    PerSession,
    /// `shared`: all clients share one of ours. Only the author of a server knows whether it mixes
    /// them up.
    Shared,
    /// `pooled`: each client has its own, on a process that was started before it was needed.
    Pooled,
}

/// How many replicas run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scaling {
    /// `replicas`: how many there are at the start. Default: 1, or as many as there are `urls`,
    /// within the other two; 1 to 64.
    pub replicas: usize,
    /// `minReplicas`: how few there may be. Default: `replicas`.
    pub replicas_min: usize,
    /// `maxReplicas`: how many there may be; above `minReplicas`, their number follows the load.
    /// Default: `replicas`; 1 to 64.
    pub replicas_max: usize,
    /// `scaleTarget`: calls in flight that one replica is to have; above it there is one more.
    /// Default: 4; 1 to 10,000.
    pub target: usize,
    /// `scaleCooldown`: the least time from one change of their number to the next one down; a
    /// tenth of it, up. Default: 60 s.
    pub cooldown: Duration,
}

/// When a process that ended is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restarts {
    /// `restart`. Default: `permanent`.
    pub policy: RestartPolicy,
    /// `restartsMax`: after so many restarts within `restartPeriod`, it has failed until somebody
    /// says otherwise. Default: 8; 1 to 1,000.
    pub max: usize,
    /// `restartPeriod`. Default: 15 min, in which everything that never runs for a minute uses up
    /// its restarts.
    pub period: Duration,
    /// `restartPauseMax`: pauses before a restart double from 1 s to this, unless it ran for a
    /// minute. Default: 60 s; a shorter one than 1 s is the only one.
    pub pause_max: Duration,
}

/// Which ends of a process call for a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestartPolicy {
    /// `permanent`: all.
    #[default]
    Permanent,
    /// `transient`: all but exit code 0.
    Transient,
    /// `temporary`: none. The next call starts it.
    Temporary,
}

/// How a replica's health is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checks {
    /// `healthCheck`. Default: `auto`.
    pub kind: CheckKind,
    /// `healthInterval`: from one check to the next. Default: 30 s.
    pub interval: Duration,
    /// `healthTimeout`: how long an answer may take. Default: 5 s.
    pub timeout: Duration,
    /// `unhealthyAfter`: so many failures in a row. Default: 3; 1 to 100.
    pub unhealthy_after: u32,
    /// `healthyAfter`: so many successes in a row. Default: 2; 1 to 100.
    pub healthy_after: u32,
    /// `restartUnhealthy`: whether an unhealthy process is started again. Default: `true`.
    pub restart: bool,
}

/// What a health check does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckKind {
    /// `auto`: a ping in the connection that there is.
    #[default]
    Auto,
    /// `ping`: the same.
    Ping,
    /// `tcp`: a connection to the server's host and port.
    Tcp,
    /// `http`: a `GET` of `healthUrl` that is answered with 2xx.
    Http {
        /// `healthUrl`: `http://` or `https://`, without a password.
        url: String,
    },
    /// `command`: `healthCommand`, a program and its arguments, that ends with code 0.
    Command {
        /// `healthCommand`. Not empty.
        command: Vec<String>,
    },
    /// `none`.
    None,
}

/// What the process tree of a replica may use. `None`: as much as there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceLimits {
    /// `maxMemory`: resident bytes of the tree; 1 MiB to 1 PiB.
    pub memory_bytes: Option<u64>,
    /// `maxProcesses`: processes of the tree; 1 to 100,000.
    pub processes: Option<u64>,
    /// `maxOpenFiles`: of each process; 16 to 1,048,576.
    pub open_files: Option<u64>,
    /// `maxCpu`: thousandths of a processor, written as a number of processors such as `0.5`;
    /// 0.01 to 1024.
    pub cpu_millis: Option<u64>,
}

impl Default for Scaling {
    fn default() -> Self {
        let cooldown = Duration::from_secs(60);
        Self { replicas: 1, replicas_min: 1, replicas_max: 1, target: 4, cooldown }
    }
}

impl Default for Restarts {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::default(),
            max: 8,
            period: Duration::from_secs(15 * 60),
            pause_max: Duration::from_secs(60),
        }
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            kind: CheckKind::default(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unhealthy_after: 3,
            healthy_after: 2,
            restart: true,
        }
    }
}
