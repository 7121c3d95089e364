//! What a published crate brings along: the page that introduces it, and what changed in it.

use crate::workspace::Member;

pub(super) fn check(member: &Member) -> Vec<String> {
    let papers = ["README.md", "CHANGELOG.md"].iter().map(|paper| member.dir.join(paper));
    let missing = papers.filter(|paper| member.published() && !paper.exists());
    missing.map(|paper| format!("{}: a published crate has one", paper.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn only_of_what_is_published() {
        let scratch = Scratch::new("papers");
        scratch.write("README.md", "");
        let member = |manifest: &str| Member {
            name: "one".into(),
            dir: scratch.path().to_owned(),
            manifest: manifest.parse().unwrap(),
        };
        assert_eq!(check(&member("")).len(), 1);
        assert!(check(&member("package.publish = false")).is_empty());
    }
}
