use super::{Check, Encoding, Format};

/// Hands out a byte at a time, as a slow pipe would.
struct Slow<'a>(&'a [u8]);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut one = std::io::Read::take(&mut self.0, 1);
        std::io::Read::read(&mut one, buffer)
    }
}

fn refused(format: Format, content: &[u8]) -> String {
    let at_once = format.check(&mut &content[..]);
    assert_eq!(at_once, format.check(&mut Slow(content)), "in pieces");
    at_once.expect_err("it is not what it should be")
}

fn accepted(format: Format, content: &[u8]) {
    assert_eq!(format.check(&mut &content[..]), Ok(()));
    assert_eq!(format.check(&mut Slow(content)), Ok(()));
}

#[test]
fn a_text_is_utf_8_to_its_end_and_the_place_of_the_first_other_byte_is_told() {
    accepted(Format::Text, b"");
    accepted(Format::Text, "Prüfbericht 検査結果 🧪".as_bytes());
    accepted(Format::Text, "ü".repeat(100_001).as_bytes());
    assert_eq!(
        refused(Format::Text, b"caf\xe9 au lait"),
        "it is no UTF-8 from byte 3 on"
    );
    assert_eq!(
        refused(Format::Text, b"Pr\xc3"),
        "it is no UTF-8 from byte 2 on"
    );
    let late = ["x".repeat(70_000).as_bytes(), b"\xff"].concat();
    assert_eq!(
        refused(Format::Text, &late),
        "it is no UTF-8 from byte 70000 on"
    );
}

#[cfg(feature = "formats")]
#[test]
fn json_is_one_value_and_nothing_behind_it() {
    accepted(Format::Json, b"{\"volume\": [1, 2.5e3, null]}\n");
    for broken in [
        &b""[..],
        b"{\"volume\": ",
        b"{} {}",
        b"{volume: 3}",
        b"[1,]",
        b"\"\xff\"",
    ] {
        assert!(refused(Format::Json, broken).starts_with("it is no JSON: "));
    }
}

#[cfg(feature = "formats")]
#[test]
fn toml_is_told_with_the_line_that_is_wrong() {
    accepted(Format::Toml, b"[station]\nname = \"Pr\xc3\xbcfstand 4\"\n");
    let broken = refused(Format::Toml, b"[station]\nname = \n");
    assert!(broken.ends_with("at line 2"), "{broken}");
    assert!(refused(Format::Toml, b"a = 1\na = 2\n").starts_with("it is no TOML: "));
}

#[cfg(feature = "formats")]
#[test]
fn xml_has_one_element_at_the_top_and_closes_what_it_opens() {
    accepted(
        Format::Xml,
        b"<?xml version=\"1.0\"?>\n<!-- made by hand -->\n<r a=\"1\"><s/>text &amp; more</r>\n",
    );
    for broken in [
        &b""[..],
        b"<r>",
        b"<r></s>",
        b"<r/><r/>",
        b"text <r/>",
        b"<r a=\"1\" a=\"2\"/>",
        b"<r a=1/>",
        b"<r",
    ] {
        let why = refused(Format::Xml, broken);
        assert!(why.starts_with("it is no XML: "), "{why}");
    }
}

#[cfg(feature = "formats")]
#[test]
fn csv_has_as_many_fields_in_each_line() {
    accepted(Format::Csv, b"part,result\r\n\"a,b\",pass\r\n");
    let broken = refused(Format::Csv, b"part,result\nA1,pass,late\n");
    assert!(broken.starts_with("it is no CSV: "), "{broken}");
}

#[test]
fn a_text_is_written_in_the_encoding_that_was_named() {
    let letters = "Aü🧪";
    let bytes = |encoding: Encoding| encoding.encode(letters).expect("it has bytes for all");
    assert_eq!(bytes(Encoding::Utf8), letters.as_bytes());
    assert_eq!(
        bytes(Encoding::Utf8WithMark),
        [b"\xef\xbb\xbf", letters.as_bytes()].concat()
    );
    assert_eq!(
        bytes(Encoding::Utf16Le),
        b"\xff\xfeA\0\xfc\0\x3e\xd8\xea\xdd"
    );
    assert_eq!(
        bytes(Encoding::Utf16Be),
        b"\xfe\xff\0A\0\xfc\xd8\x3e\xdd\xea"
    );
    assert_eq!(Encoding::Latin1.encode("Aü"), Ok(b"A\xfc".to_vec()));
    assert_eq!(
        Encoding::Latin1.encode(letters),
        Err("ISO 8859-1 has no byte for `\\u{1f9ea}`".to_owned())
    );
}
