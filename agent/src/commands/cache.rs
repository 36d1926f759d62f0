//! `mainstay cache`: what lookups keep of other servers' answers.

use crate::asking;
use crate::cli::{CacheClearArgs, CacheInvalidateArgs, CacheListArgs, CacheVerb, LookArgs};
use crate::config;
use crate::data::DataDir;
use crate::exit::{Exit, Failure};
use crate::run::lookups::CACHE;
use crate::status::date;
use crate::terminal::{self, Count, Text, visible};
use crate::units::Size;
use mainstay_cache::{Cache, CacheSettings, CacheStats, ErrorKind, Listed};
use serde_json::json;

/// The cache of a data folder, and what the configuration says of it.
struct Opened {
    cache: Cache,
    configured: config::Cache,
}

/// Runs the verb; an agent may run beside it.
///
/// # Errors
/// The cache cannot be opened or changed, an address or a pattern is none, the person said no.
pub(crate) fn cache(verb: &CacheVerb) -> Result<Exit, Failure> {
    match verb {
        CacheVerb::Stats(args) => stats(args),
        CacheVerb::List(args) => list(args),
        CacheVerb::Prune(args) => prune(args),
        CacheVerb::Clear(args) => clear(args),
        CacheVerb::Invalidate(args) => invalidate(args),
    }
}

/// The cache of the data folder, to be looked at; without a configuration that can be used, with the defaults, unless it was asked for
/// by name.
fn open(args: &LookArgs) -> Result<Opened, Failure> {
    let data = DataDir::of(&args.place)?;
    let configured = match config::load_cache(&args.place, &data) {
        Err(failure) if args.place.config.is_none() => {
            terminal::warn(&format!(
                "the configuration cannot be used, and the defaults are taken\n{failure}"
            ));
            config::Cache::default()
        }
        loaded => loaded?,
    };
    open_with(&data, configured)
}

/// Opens it, and makes none where there is none.
///
/// Without a limit: nothing goes because somebody looks, be it with another configuration than the agent's.
fn open_with(data: &DataDir, configured: config::Cache) -> Result<Opened, Failure> {
    let folder = data.path().join(CACHE);
    let settings = CacheSettings {
        enabled: folder.exists(),
        limit_bytes: u64::MAX,
        ..configured.kept.clone()
    };
    let cache = Cache::open(&folder, settings, mainstay_clock::system()).map_err(failed)?;
    Ok(Opened { cache, configured })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: mainstay_cache::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::Invalid => Exit::Usage,
        ErrorKind::Busy => Exit::InUse,
        _ => Exit::NoInput,
    };
    let failure = Failure::new(exit, error.to_string());
    match std::error::Error::source(&error) {
        Some(source) => failure.because(source.to_string()),
        None => failure,
    }
}

fn stats(args: &LookArgs) -> Result<Exit, Failure> {
    let Opened { cache, configured } = open(args)?;
    let mut stats = cache.stats().map_err(failed)?;
    stats.limit_bytes = configured.kept.limit_bytes;
    stats.usage_percent = stats.bytes as f64 * 100.0 / stats.limit_bytes.max(1) as f64;
    if args.json {
        terminal::print_json(&told(&stats, &configured))?;
    } else {
        terminal::print(&page(&stats, &configured))?;
    }
    Ok(Exit::Done)
}

fn told(stats: &CacheStats, configured: &config::Cache) -> serde_json::Value {
    json!({
        "enabled": stats.enabled,
        "offline": configured.offline,
        "ttl_seconds": configured.kept.default_ttl.as_secs(),
        "rules": configured.kept.rules.len(),
        "entries": stats.entries,
        "bytes": stats.bytes,
        "limit_bytes": stats.limit_bytes,
        "usage_percent": stats.usage_percent,
        "disk_bytes": stats.disk_bytes,
        "hits": stats.hits,
        "misses": stats.misses,
        "expired": stats.expired,
        "revalidated": stats.revalidated,
        "stale_served": stats.stale_served,
        "stored": stats.stored,
        "evictions": stats.evictions,
        "bytes_saved": stats.bytes_saved,
        "damaged": stats.damaged,
        "rebuilt": stats.rebuilt,
        "oldest": stats.oldest.map(date),
        "newest": stats.newest.map(date),
        "last_prune": stats.last_prune.map(date),
    })
}

fn page(stats: &CacheStats, configured: &config::Cache) -> String {
    let mut text = Text::default();
    if configured.offline {
        text.line(format_args!(
            "offline   lookups ask nobody, until `offline` in [cache] is removed"
        ));
    }
    if !stats.enabled {
        text.line(format_args!(
            "nothing is kept: no lookup of this data folder was ever answered"
        ));
        return text.finish();
    }
    let when = |at: Option<u64>| at.map_or_else(|| "never".to_owned(), date);
    text.line(format_args!(
        "kept      {}, {} of {} ({:.0} %), {} on the disk",
        Count(stats.entries, "answer"),
        Size(stats.bytes),
        Size(stats.limit_bytes),
        stats.usage_percent,
        Size(stats.disk_bytes),
    ));
    text.line(format_args!(
        "asked     {} hits, {} misses, {} whose time was over ({} confirmed), {} served all the same",
        stats.hits, stats.misses, stats.expired, stats.revalidated, stats.stale_served,
    ));
    text.line(format_args!(
        "changed   {} stored, {} evicted, {} damaged, index begun anew {} times",
        stats.stored, stats.evictions, stats.damaged, stats.rebuilt,
    ));
    text.line(format_args!("saved     {}", Size(stats.bytes_saved)));
    text.line(format_args!(
        "oldest    {}, newest {}, last pruned {}",
        when(stats.oldest),
        when(stats.newest),
        when(stats.last_prune),
    ));
    text.finish()
}

fn list(args: &CacheListArgs) -> Result<Exit, Failure> {
    let kept = open(&args.look)?.cache.list(args.limit).map_err(failed)?;
    if args.look.json {
        let told = |kept: &Listed| {
            json!({
                "url": kept.url,
                "status": kept.status,
                "bytes": kept.bytes,
                "stored_at": date(kept.stored_at),
                "fresh_until": date(kept.fresh_until),
            })
        };
        terminal::print_json(&kept.iter().map(told).collect::<Vec<_>>())?;
    } else if kept.is_empty() {
        terminal::say("nothing is kept");
    } else {
        let mut text = Text::default();
        for kept in &kept {
            text.line(format_args!(
                "{}  {:>10}  until {}  {}",
                kept.status,
                Size(kept.bytes).to_string(),
                date(kept.fresh_until),
                visible(&kept.url)
            ));
        }
        terminal::print(&text.finish())?;
    }
    Ok(Exit::Done)
}

/// By the configuration alone: with another limit than was meant it would let go of what is to stay.
fn prune(args: &LookArgs) -> Result<Exit, Failure> {
    let data = DataDir::of(&args.place)?;
    let Opened { cache, configured } = open_with(&data, config::load_cache(&args.place, &data)?)?;
    let evicted = cache
        .prune_to(configured.kept.limit_bytes)
        .map_err(failed)?;
    let mut pruned = cache.prune().map_err(failed)?;
    pruned.evicted += evicted;
    if args.json {
        let told = json!({ "evicted": pruned.evicted, "damaged": pruned.damaged, "orphans": pruned.orphans });
        terminal::print_json(&told)?;
    } else {
        terminal::say(&format!(
            "in order: {} evicted, {} damaged, {} that belonged to nothing",
            pruned.evicted, pruned.damaged, pruned.orphans
        ));
    }
    Ok(Exit::Done)
}

fn clear(args: &CacheClearArgs) -> Result<Exit, Failure> {
    let Opened { cache, .. } = open(&args.look)?;
    let stats = cache.stats().map_err(failed)?;
    if stats.entries > 0 {
        let answers = Count(stats.entries, "answer");
        asking::allow(
            args.yes,
            &format!("{answers} will be asked for again when they are needed"),
        )?;
    }
    say_gone(cache.clear().map_err(failed)?, args.look.json)
}

fn invalidate(args: &CacheInvalidateArgs) -> Result<Exit, Failure> {
    let Opened { cache, .. } = open(&args.look)?;
    let gone = if let Some(url) = &args.url {
        let address = url.parse().map_err(|_| {
            Failure::new(Exit::Usage, format!("`{}` is no address", visible(url)))
                .help("write it whole, like http://127.0.0.1:8099/tracks?artist=A")
        })?;
        cache.invalidate_url(&address)
    } else if let Some(host) = &args.host {
        cache.invalidate_host(host)
    } else if let Some(pattern) = &args.glob {
        cache.invalidate_glob(pattern)
    } else {
        cache.older_than(args.older_than.map(|age| age.0).unwrap_or_default())
    };
    say_gone(gone.map_err(failed)?, args.look.json)
}

fn say_gone(gone: usize, json: bool) -> Result<Exit, Failure> {
    if json {
        terminal::print_json(&json!({ "gone": gone }))?;
    } else {
        terminal::say(&format!("{} gone", Count(gone as u64, "answer")));
    }
    Ok(Exit::Done)
}
