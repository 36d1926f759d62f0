//! A name from outside becomes one that every system takes.

use mainstay_paths::safe_file_name;
use proptest::prelude::*;

fn safe(name: &str) -> String {
    safe_file_name(name.as_bytes())
}

#[test]
fn a_name_that_is_fit_is_not_changed() {
    for name in [
        "a",
        "report 7.json",
        "Prüfbericht-№7 (2).tar.gz",
        "日本語.txt",
        "com10.txt",
        "console",
        "a.b.c",
        "'$&;",
    ] {
        assert_eq!(safe(name), name);
    }
}

#[test]
fn no_name_leads_out_of_its_folder() {
    for (name, expected) in [
        ("..", "unnamed"),
        (".", "unnamed"),
        ("", "unnamed"),
        ("../x", "_._x"),
        ("/etc/passwd", "_etc_passwd"),
        ("a\\..\\b", "a_.._b"),
        ("C:\\x", "C__x"),
        ("file:stream", "file_stream"),
        ("nul\0byte", "nul_byte"),
    ] {
        assert_eq!(safe(name), expected, "{name:?}");
    }
}

#[test]
fn no_name_hides_or_looks_like_an_option_or_a_home() {
    assert_eq!(safe(".bashrc"), "_bashrc");
    assert_eq!(safe("-rf"), "_rf");
    assert_eq!(safe("~root"), "_root");
    assert_eq!(safe("  a  "), "a");
    assert_eq!(safe("a. . ."), "a");
}

#[test]
fn no_name_reads_as_another() {
    assert_eq!(safe("invoice\u{202e}fdp.exe"), "invoice_fdp.exe");
    assert_eq!(safe("a\u{200b}b\u{feff}c\u{2066}d\u{e0041}"), "a_b_c_d_");
    assert_eq!(
        safe("a\nb\rc\td\u{7f}e\u{85}f\u{1b}[31m"),
        "a_b_c_d_e_f_[31m"
    );
    assert_eq!(safe("a\u{a0}b\u{3000}c"), "a_b_c");
    assert_eq!(safe_file_name(b"m\xfcll\xff\xfe.txt"), "m_ll__.txt");
}

#[test]
fn no_name_is_a_device_of_windows() {
    for name in [
        "CON",
        "con",
        "Aux.txt",
        "nul.tar.gz",
        "com1",
        "LPT9.log",
        "com0",
        "COM¹",
        "prn .txt",
        "conin$",
    ] {
        assert_eq!(safe(name), format!("_{name}"));
    }
}

#[test]
fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
    let long = safe(&format!("{}.json", "ü".repeat(300)));
    assert_eq!(long, format!("{}.json", "ü".repeat(97)));
    assert_eq!(safe(&"日".repeat(300)).len(), 198);
    assert_eq!(
        safe(&format!("{} .{}", "a".repeat(198), "b".repeat(99))),
        "a".repeat(198)
    );
    let no_extension = safe(&format!("a.{}", "b".repeat(300)));
    assert_eq!(no_extension, format!("a.{}", "b".repeat(198)));
}

/// Bytes as they come, and text made of what is likely to be trouble.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let trouble = prop::sample::select(vec![
        "..",
        ".",
        " ",
        "/",
        "\\",
        ":",
        "CON",
        "com1",
        "nul",
        "\u{202e}",
        "\0",
        "\n",
        "ü",
        "日",
        "a",
        "-",
        "~",
        "_",
        "²",
        "a long part that soon is too long",
        ".json",
        ".an_extension_that_is_none",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(trouble, 0..40).prop_map(|parts| parts.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_the_name_is_fit_for_every_system(name in names()) {
        let safe = safe_file_name(&name);
        prop_assert!(!safe.is_empty() && safe.len() <= 200, "{} bytes", safe.len());
        prop_assert!(!safe.starts_with(['.', '-', '~', ' ']), "{safe:?}");
        prop_assert!(!safe.ends_with(['.', ' ']), "{safe:?}");
        prop_assert!(!safe.contains(['/', '\\', '<', '>', ':', '"', '|', '?', '*']), "{safe:?}");
        prop_assert!(!safe.chars().any(char::is_control), "{safe:?}");
        // What the standard library would escape does not print; combining marks it escapes too, and they may stay.
        prop_assert!(!safe.chars().any(|character| ('\u{202a}'..='\u{202e}').contains(&character)), "{safe:?}");
        let first = safe.split('.').next().unwrap_or_default().trim_end().to_uppercase();
        let is_port = (first.starts_with("COM") || first.starts_with("LPT")) && first.chars().count() == 4;
        let is_device = ["CON", "PRN", "AUX", "NUL"].contains(&first.as_str())
            || (is_port && first.ends_with(|last: char| last.is_numeric() && "0123456789¹²³".contains(last)));
        prop_assert!(!is_device, "{safe:?}");
    }

    #[test]
    fn a_safe_name_is_safe_already(name in names()) {
        let safe = safe_file_name(&name);
        prop_assert_eq!(safe_file_name(safe.as_bytes()), safe);
    }
}

#[test]
fn the_two_ways_to_write_a_letter_give_one_name() {
    assert_eq!(safe("caf\u{65}\u{301}.txt"), "caf\u{e9}.txt");
    assert_eq!(safe("Pr\u{75}\u{308}fbericht"), "Pr\u{fc}fbericht");
    // Put together, it is short enough not to be cut.
    let apart = "e\u{301}".repeat(90);
    assert_eq!(safe(&apart), "\u{e9}".repeat(90));
}

proptest! {
    #[test]
    fn a_name_fits_every_system_and_stays_as_it_is_when_it_is_made_safe_again(name in any::<Vec<u8>>()) {
        let once = safe_file_name(&name);
        prop_assert!(!once.is_empty());
        prop_assert!(once.len() <= 200 && once.encode_utf16().count() <= 200);
        prop_assert_eq!(safe_file_name(once.as_bytes()), once);
    }

    #[test]
    fn a_name_of_letters_and_accents_stays_as_it_is_when_it_is_made_safe_again(
        name in "[a-z\u{e9}\u{300}-\u{36f}\u{1100}-\u{11ff}\u{ac00}-\u{ac20} .]{0,120}"
    ) {
        let once = safe(&name);
        prop_assert!(once.len() <= 200);
        prop_assert_eq!(safe(&once), once);
    }
}
