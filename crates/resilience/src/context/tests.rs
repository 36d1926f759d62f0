use super::*;
use crate::{Backoff, Error, Jitter, Retry, RetrySettings, Shape};
use mainstay_clock::ManualClock;
use std::io;

/// An error with as many causes as it says.
#[derive(Debug)]
struct Deep {
    text: String,
    source: Option<Box<Deep>>,
}

impl fmt::Display for Deep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Deep {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl Classify for Deep {
    fn class(&self) -> Class {
        Class::retryable(Category::Network, Severity::High).after(Duration::from_millis(1_500))
    }
}

fn deep(texts: &[&str]) -> Deep {
    let (text, causes) = texts.split_first().unwrap();
    Deep {
        text: (*text).to_owned(),
        source: (!causes.is_empty()).then(|| Box::new(deep(causes))),
    }
}

fn written(texts: &[&str]) -> ErrorContext {
    ErrorContext::of("fetch", &deep(texts), &ManualClock::new())
}

#[test]
fn all_that_the_error_knows_is_written_down() {
    let context = written(&["no package", "no answer", "refused"]);
    assert_eq!(context.operation(), "fetch");
    assert_eq!(context.message(), "no package");
    assert_eq!(context.chain(), ["no answer", "refused"]);
    assert_eq!(context.category(), Category::Network);
    assert_eq!(context.severity(), Severity::High);
    assert!(context.is_retryable());
    assert_eq!(context.retry_after(), Some(Duration::from_millis(1_500)));
    assert_eq!(context.at(), ManualClock::new().wall());
    assert_eq!(context.retry_count(), 0);
    assert!(context.fields().is_empty());
}

#[tokio::test]
async fn what_comes_out_of_a_retry_tells_how_often_it_was_tried_again() {
    let settings = RetrySettings {
        attempts: 3,
        backoff: Backoff {
            shape: Shape::Fixed,
            initial: Duration::ZERO,
            max: Duration::ZERO,
            jitter: Jitter::None,
        },
        deadline: None,
        ..RetrySettings::generic()
    };
    let clock: mainstay_clock::SharedClock = std::sync::Arc::new(ManualClock::new());
    let retry = Retry::new("fetch", settings, clock).unwrap();
    let error = retry
        .run(async |_| Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset)))
        .await
        .unwrap_err();
    let context = ErrorContext::of("fetch", &error, &ManualClock::new());
    assert_eq!(context.retry_count(), 2);
    assert!(context.to_string().contains("retried 2 times"), "{context}");
    // One who tried again what had tried again already.
    let nested = Error::Exhausted {
        last: Box::new(Error::Failed(error)),
        attempts: 2,
    };
    let context = ErrorContext::of("fetch", &nested, &ManualClock::new());
    assert_eq!(context.retry_count(), 3);
}

#[test]
fn the_id_carries_the_date_and_is_nobody_elses() {
    let ids: std::collections::BTreeSet<_> = (0..1_000).map(|_| written(&["no"]).id()).collect();
    assert_eq!(ids.len(), 1_000);
    let (seconds, _) = ids.first().unwrap().get_timestamp().unwrap().to_unix();
    assert_eq!(seconds, ManualClock::new().wall() / 1_000);
}

#[test]
fn the_old_names_are_kept_and_ours_stand_beside_them() {
    let clock = ManualClock::new();
    clock.advance(Duration::from_millis(250));
    let context = ErrorContext::of("fetch", &deep(&["no package", "refused"]), &clock)
        .with("host", "a.example")
        .with("try", 7)
        .retried(2);
    let json = serde_json::to_value(&context).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "error_id": format!("err_{}", context.id()),
            "category": "network",
            "severity": "high",
            "message": "no package",
            "timestamp": 1_577_836_800.25,
            "retry_count": 2,
            "context": { "host": "a.example", "try": "7" },
            "operation": "fetch",
            "is_retryable": true,
            "retry_after_s": 1.5,
            "chain": ["refused"],
        })
    );
}

#[test]
fn a_line_stays_one_line() {
    let context = written(&["two\nlines", "a\r\tb\u{7}"])
        .with("k\n", "v\0")
        .retried(1);
    let id = context.id();
    assert_eq!(
        context.to_string(),
        format!("network/high fetch: two lines: a  b ; k =v ; retried once; err_{id}")
    );
}

#[test]
fn a_long_text_is_cut_between_two_characters_and_shows_it() {
    for start in ["", "a", "ab"] {
        let long = format!("{start}{}", "€".repeat(1_000));
        let context = written(&[&long, &long]).with(&long, &long);
        let (key, value) = context.fields().first_key_value().unwrap();
        for text in [context.message(), &context.chain()[0], key, value] {
            assert!(text.len() <= ErrorContext::TEXT_MAX, "{}", text.len());
            assert!(ErrorContext::TEXT_MAX - 6 < text.len(), "{}", text.len());
            assert!(long.starts_with(text.strip_suffix('…').unwrap()));
        }
    }
}

#[test]
fn a_text_that_just_fits_is_whole() {
    let fits = "x".repeat(ErrorContext::TEXT_MAX);
    assert_eq!(written(&[&fits]).message(), fits);
    let longer = format!("{fits}x");
    assert!(written(&[&longer]).message().ends_with("x…"));
}

/// A short piece would still fit where a wide character did not.
#[test]
fn nothing_follows_what_was_cut() {
    struct Pieces;
    impl fmt::Display for Pieces {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&"x".repeat(ErrorContext::TEXT_MAX - 2))?;
            f.write_str("€")?;
            f.write_str("y")
        }
    }
    let context = written(&["no"]).with("pieces", Pieces);
    assert!(context.fields()["pieces"].ends_with("x…"));
}

#[test]
fn a_thing_that_cannot_say_what_it_is_is_kept_as_far_as_it_came() {
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }
    assert_eq!(written(&["no"]).with("it", Broken).fields()["it"], "half…");
}

#[test]
fn a_chain_has_an_end() {
    let texts: Vec<String> = (0..40).map(|link| link.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(written(&texts).chain(), &texts[1..=16]);
}

#[test]
fn fields_have_an_end_and_a_key_that_is_there_can_still_change() {
    let mut context = written(&["no"]);
    for field in 0..40 {
        context = context.with(&format!("{field:02}"), field);
    }
    context = context.with("00", "new");
    assert_eq!(context.fields().len(), ErrorContext::FIELDS_MAX);
    assert_eq!(context.fields()["00"], "new");
    assert!(!context.fields().contains_key("32"));
}

#[test]
fn an_error_that_knows_no_class_is_given_one() {
    let error: Box<dyn StdError + Send + Sync> = "out of paper".into();
    let class = Class::permanent(Category::Resource, Severity::Low);
    let context = ErrorContext::classed("print", &*error, class, &ManualClock::new());
    assert_eq!(context.class(), class);
    assert_eq!(context.message(), "out of paper");
}

#[test]
fn a_text_of_an_error_tells_its_causes_once_each() {
    let error = crate::Error::Failed(io::Error::other(deep(&["a", "b"])));
    assert_eq!(told(&error), "the call failed: a: b");
}
