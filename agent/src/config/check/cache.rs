//! `[cache]`: what lookups keep, for how long, and whether they ask at all.

use super::Check;
use crate::config::document;
use crate::config::place::{Problem, Source};
use crate::config::settings::Cache;
use crate::data::DataDir;
use crate::units::Size;
use mainstay_cache::{CacheSettings, RULES_MAX, Rule};
use toml::Spanned;

/// Below this the headers alone of a few answers take all of it.
const LIMIT_MIN: u64 = 64 * 1024;

/// The section alone, whatever the others say.
///
/// # Errors
/// Every problem in it, in the order of the file.
pub(in crate::config) fn cache(
    cache: document::Cache,
    source: &Source,
    data: &DataDir,
) -> Result<Cache, Vec<Problem>> {
    let mut check = Check::new(source, data);
    let cache = check.cache(cache);
    if check.problems.is_empty() {
        Ok(cache)
    } else {
        Err(check.problems)
    }
}

impl Check<'_> {
    pub(super) fn cache(&mut self, cache: document::Cache) -> Cache {
        let usual = CacheSettings::default();
        if let Some(limit) = &cache.limit
            && limit.get_ref().0 < LIMIT_MIN
        {
            let message = format!(
                "`limit` is {}, and less than {} keeps next to nothing",
                limit.get_ref(),
                Size(LIMIT_MIN)
            );
            let help =
                "write it like \"100 MiB\"; to keep nothing, write `cache = false` at each lookup";
            self.refuse(&limit.span(), message, help);
        }
        if let Some(offline) = cache.offline.as_ref().filter(|offline| *offline.get_ref()) {
            self.is_offline = true;
            let message = "lookups ask nobody: what is kept is the answer, however old, and of the rest nothing is known";
            let help = "remove `offline` when their servers may be asked again";
            self.warn(&offline.span(), message, help);
        }
        let or = |span: Option<crate::units::Span>, usual| span.map_or(usual, |span| span.0);
        Cache {
            kept: CacheSettings {
                limit_bytes: cache
                    .limit
                    .map_or(usual.limit_bytes, |limit| limit.get_ref().0),
                default_ttl: or(cache.ttl, usual.default_ttl),
                stale_if_error_max: or(cache.stale_if_error, usual.stale_if_error_max),
                stale_while_revalidate_max: or(
                    cache.stale_while_revalidate,
                    usual.stale_while_revalidate_max,
                ),
                rules: self.cache_rules(cache.rule),
                ..usual
            },
            offline: self.is_offline,
        }
    }

    fn cache_rules(&mut self, rules: Vec<Spanned<document::CacheRule>>) -> Vec<Rule> {
        if let Some(first) = rules.get(RULES_MAX) {
            let message = format!("there are more than {RULES_MAX} rules");
            let help = "each is looked at for every request: let one pattern stand for many";
            self.refuse(&first.span(), message, help);
        }
        let number = rules.len();
        let mut checked: Vec<(String, Rule)> = Vec::new();
        for (at, rule) in rules.into_iter().enumerate().take(RULES_MAX) {
            let (span, rule) = (rule.span(), rule.into_inner());
            let never = rule.never.unwrap_or(false);
            match &rule.ttl {
                Some(ttl) if never => {
                    let message = "what is never kept has no `ttl`";
                    self.refuse(&ttl.span(), message, "remove it, or `never`");
                }
                // In front of others it says that they do not hold for it.
                None if !never && at + 1 == number => {
                    let message = "the rule says nothing, and stands in front of no other";
                    let help = "give it a `ttl`, or write `never = true`";
                    self.refuse(&span, message, help);
                }
                _ => {}
            }
            let place = rule.pattern.span();
            let rule = Rule {
                pattern: rule.pattern.into_inner(),
                ttl: rule.ttl.map(|ttl| ttl.get_ref().0),
                never,
            };
            self.cache_pattern(&place, &rule, &checked);
            checked.push((self.source.place(&place), rule));
        }
        checked.into_iter().map(|(_, rule)| rule).collect()
    }

    /// A rule that nothing can come to, or that never has its turn, would look as if it were obeyed.
    fn cache_pattern(
        &mut self,
        place: &std::ops::Range<usize>,
        rule: &Rule,
        before: &[(String, Rule)],
    ) {
        if let Err(error) = rule.check() {
            let cause = std::error::Error::source(&error);
            let message =
                cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
            self.refuse(place, message, "see docs/operating/lookups.md");
        } else if let Some((first, _)) = before.iter().find(|(_, other)| other.covers(rule)) {
            let message = format!(
                "`{}` never counts: all that fits it fits the rule at {first}, and the first that fits counts",
                rule.pattern
            );
            self.refuse(
                place,
                message,
                "write it in front of that one, or remove it",
            );
        }
    }
}
