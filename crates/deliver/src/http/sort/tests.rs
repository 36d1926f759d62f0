use super::*;
use http::{HeaderMap, HeaderValue};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: body.as_bytes().to_vec(),
    }
}

fn sorted_for(answer: &Answer, change: impl FnOnce(&mut Question<'_>)) -> Outcome {
    let mut redactor = Redactor::default();
    redactor.add("s3cr3t");
    let mut question = Question {
        address: "https://h/in",
        id: ID,
        if_none_match: false,
        body_may_name_key: true,
        wall: 0,
        redactor: &redactor,
    };
    change(&mut question);
    sort(answer, &question)
}

fn sorted(status: u16, headers: &[(&'static str, &str)], body: &str) -> Outcome {
    sorted_for(&answer(status, headers, body), |_| ())
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::AlreadyThere => "already there",
        Outcome::Retry { .. } => "retry",
        Outcome::NotSent { .. } => "not sent",
        Outcome::Busy { .. } => "busy",
        Outcome::Hold { .. } => "hold",
        Outcome::Reject { .. } => "reject",
        Outcome::Unsendable { .. } => "unsendable",
    }
}

#[test]
fn every_status_is_sorted_by_its_cause() {
    for status in 100..=999 {
        let expected = match status {
            200..=299 => "delivered",
            300..=399 | 401 | 403 | 404 | 407 => "hold",
            429 => "busy",
            408 | 425 | 500..=599 => "retry",
            400..=499 => "reject",
            _ => "retry",
        };
        assert_eq!(kind(&sorted(status, &[], "")), expected, "{status}");
    }
}

#[test]
fn nothing_but_a_2xx_or_our_own_key_counts_as_delivered() {
    let everything = &[("idempotency-key", ID), ("mainstay-receipt", ID)][..];
    for status in
        (100..=999).filter(|status| !(200..=299).contains(status) && ![409, 412].contains(status))
    {
        let outcome = sorted(status, everything, &format!("{ID} already exists"));
        assert!(
            !["delivered", "already there"].contains(&kind(&outcome)),
            "{status}: {outcome:?}"
        );
    }
}

#[test]
fn a_conflict_that_names_our_key_is_already_there() {
    for status in [409, 412] {
        assert_eq!(
            sorted(status, &[("idempotency-key", ID)], ""),
            Outcome::AlreadyThere
        );
        assert_eq!(
            sorted(status, &[("idempotency-key", &format!("\"{ID}\""))], ""),
            Outcome::AlreadyThere
        );
        assert_eq!(
            sorted(status, &[("mainstay-receipt", ID)], ""),
            Outcome::AlreadyThere
        );
        assert_eq!(
            sorted(status, &[], &format!("{{\"duplicate\":\"{ID}\"}}")),
            Outcome::AlreadyThere
        );
    }
}

#[test]
fn a_conflict_that_does_not_name_our_key_is_not() {
    let other = "01890a5d-ac96-774b-bcce-b302099a8058";
    for outcome in [
        sorted(409, &[], ""),
        sorted(412, &[], "already exists"),
        sorted(409, &[("idempotency-key", other)], ""),
        sorted(409, &[("mainstay-receipt", "yes")], ""),
        sorted(409, &[], &format!("{other} already exists")),
        sorted(409, &[], &format!("no such parent for {ID}")),
    ] {
        assert_eq!(kind(&outcome), "reject", "{outcome:?}");
    }
}

/// A `WebDAV` server answers a PUT into a missing folder with 409 and a page that quotes the address. Taken for a receipt, it
/// would have cost the document.
#[test]
fn an_error_page_that_quotes_the_address_is_no_receipt() {
    let page = answer(
        409,
        &[],
        &format!("the parent of /dav/{ID}.json does not exist already"),
    );
    let outcome = sorted_for(&page, |question| question.body_may_name_key = false);
    assert_eq!(kind(&outcome), "reject");
}

#[test]
fn a_conflict_with_an_attempt_in_progress_is_asked_again() {
    let outcome = sorted(409, &[("idempotency-key", ID), ("retry-after", "3")], "");
    assert!(
        matches!(outcome, Outcome::Retry { after: Some(wait), .. } if wait == Duration::from_secs(3))
    );
    let outcome = sorted(409, &[], &format!("{ID} is already being processed"));
    assert_eq!(kind(&outcome), "reject");
}

#[test]
fn a_failed_precondition_is_already_there_only_if_we_made_it() {
    let failed = answer(412, &[], "");
    assert_eq!(
        sorted_for(&failed, |question| question.if_none_match = true),
        Outcome::AlreadyThere
    );
    assert_eq!(kind(&sorted_for(&failed, |_| ())), "reject");
    let conflict = answer(409, &[], "");
    assert_eq!(
        kind(&sorted_for(&conflict, |question| question.if_none_match = true)),
        "reject"
    );
}

#[test]
fn a_server_that_says_too_many_and_no_time_is_left_alone_by_all_documents_for_a_moment() {
    let after = |headers: &[(&'static str, &str)]| match sorted(429, headers, "") {
        Outcome::Busy { after, .. } => after.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(after(&[]), 1);
    let used_up = ("x-ratelimit-remaining", "0");
    let reset = ("x-ratelimit-reset", "30");
    assert_eq!(after(&[used_up, reset]), 30);
    assert_eq!(after(&[used_up, reset, ("retry-after", "7")]), 7);
    assert_eq!(after(&[("x-ratelimit-remaining", "3"), reset]), 1);
    assert_eq!(kind(&sorted(503, &[used_up, reset], "")), "retry");
}

#[test]
fn a_server_that_names_a_time_pauses_the_whole_destination() {
    for status in [429, 503] {
        let outcome = sorted(status, &[("retry-after", "7")], "");
        assert!(
            matches!(outcome, Outcome::Busy { after, .. } if after == Duration::from_secs(7)),
            "{outcome:?}"
        );
    }
    for status in [408, 425, 500, 502] {
        let outcome = sorted(status, &[("retry-after", "7")], "");
        assert!(
            matches!(outcome, Outcome::Retry { after: Some(after), .. } if after == Duration::from_secs(7)),
            "{outcome:?}"
        );
    }
    let outcome = sorted(403, &[("retry-after", "7")], "");
    assert!(
        matches!(outcome, Outcome::Hold { after: Some(after), .. } if after == Duration::from_secs(7)),
        "{outcome:?}"
    );
}

#[test]
fn a_403_may_be_about_one_document_and_a_401_is_not() {
    let cause = |status| match sorted(status, &[], "") {
        Outcome::Hold { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    assert_eq!([401, 407].map(cause), [Cause::Credentials; 2]);
    assert_eq!([301, 404].map(cause), [Cause::Unclear; 2]);
    assert_eq!(cause(403), Cause::Forbidden);
}

#[test]
fn a_reason_says_what_where_and_what_to_do() {
    let reason = |outcome| match outcome {
        Outcome::Hold { reason, .. }
        | Outcome::Retry { reason, .. }
        | Outcome::Reject { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(sorted(401, &[], "bad token\n")),
        "`https://h/in` answered 401 Unauthorized: bad token; check the credentials of this destination"
    );
    assert_eq!(
        reason(sorted(422, &[], "")),
        "`https://h/in` answered 422 Unprocessable Entity"
    );
    assert_eq!(
        reason(sorted(
            308,
            &[("location", "https://ann:pw@other/in?token=x#y")],
            ""
        )),
        "`https://h/in` answered 308 and points to `https://other/in`; redirects are not followed: set the address that is meant"
    );
    assert!(reason(sorted(302, &[], "")).contains("points to another place"));
    assert!(!reason(sorted(302, &[("location", "//u:s3cr3t@x y/?q")], "")).contains("s3cr3t"));
}

#[test]
fn an_excerpt_holds_no_secret_and_no_control_character() {
    let body = format!("\u{1b}[2J{}s3cr3t{}", "x".repeat(192), "y".repeat(300));
    let Outcome::Retry { reason, .. } = sorted(500, &[], &body) else {
        panic!()
    };
    assert!(
        reason.contains("Error: \\u{1b}[2J") && reason.ends_with("[hid…"),
        "{reason}"
    );
    assert!(
        !reason.contains("s3c") && !reason.contains('\u{1b}'),
        "{reason}"
    );
}
