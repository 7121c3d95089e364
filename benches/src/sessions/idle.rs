//! A thousand sessions that were used once and wait.

use std::path::Path;

use super::{front, verdict};
use crate::proc;
use crate::process::Started;
use crate::serve::runtime;
use crate::session::{Era, Plan, Session};

const SESSIONS: usize = 1000;
/// Opened and closed before, so that what belongs to no session is there already.
const WARM_UP: usize = 50;
/// A rival was reported at 709 KiB a session; a twentieth of that is what we allow ourselves.
const KIB_MAX: f64 = 35.0;

pub(super) fn run(dir: &Path) -> Result<Vec<String>, String> {
    let upstream = Started::role(&["upstream-http"])?;
    let url = format!("http://{}/mcp", upstream.address);
    let ours = front(dir, "idle", &serde_json::json!({ "url": url }))?;
    let runtime = runtime(0).map_err(|error| error.to_string())?;
    let plan =
        Plan { address: ours.address, path: ours.path.clone(), era: Era::Legacy, payload: 16 };
    let (before, after) = runtime.block_on(async {
        for number in 0..WARM_UP {
            Session::open(&plan, number).await?.close().await?;
        }
        let before = proc::rss_kib(ours.pid());
        for number in 0..SESSIONS {
            // Its connection is closed here; the session stays.
            drop(Session::open(&plan, number).await?);
        }
        // One more answer, so that the last of them is through.
        drop(Session::open(&plan, SESSIONS).await?);
        Ok::<_, String>((before, proc::rss_kib(ours.pid())))
    })?;
    let each = (after - before) / SESSIONS as f64;
    println!("{SESSIONS} idle sessions: {before:.0} KiB before, {after:.0} KiB after");
    Ok(vec![verdict("idle-kib", each, KIB_MAX)])
}
