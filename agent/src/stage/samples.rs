//! What is dropped on the stage: files of the kinds that stations make, no two alike.

use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// A file to drop.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Its name.
    pub(crate) name: String,
    /// Its content.
    pub(crate) content: Vec<u8>,
    /// The SHA-256 of its content, by which it is found again at the other end.
    pub(crate) sha256: [u8; 32],
}

macro_rules! examples {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../examples/station/", $name)).as_slice())),+]
    };
}

/// Files as real stations make them, as they are: text of many kinds, an image, sound, archives, an empty one.
const EXAMPLES: [(&str, &[u8]); 16] = examples![
    "fct_PB-2210_004711.json",
    "provisioning_GW-77_A0F3C1.jsonl",
    "hipot_20261103.csv",
    "operator_export_utf16.csv",
    "thermal_soak_latin1.csv",
    "humidity_chamber.tsv",
    "junit_hil_nightly.xml",
    "test_sequence_CTRL-8_118821.xml",
    "ict_A1190_0231.log",
    "datalog_tester4.stdx",
    "bootloader_patch_r1187.hex",
    "thermogram_PB-2210_004714.png",
    "sweep_SPK-12_0907.wav",
    "vibration_raw.csv.gz",
    "boundary_scan_118820.zip",
    "heartbeat_ICT-1.ok",
];

/// Above 256 KiB a body lies in a file of its own; one file in five hundred is that large.
const LARGE: usize = 300 * 1024;

/// `count` files with contents that all differ.
pub(crate) fn samples(count: u32) -> Vec<Sample> {
    let mut seen = HashSet::new();
    let examples = EXAMPLES
        .iter()
        .map(|(name, content)| ((*name).to_owned(), content.to_vec()));
    let generated = (0..).map(generate);
    examples
        .chain(generated)
        .map(|(name, content)| Sample {
            sha256: Sha256::digest(&content).into(),
            name,
            content,
        })
        .filter(|sample| seen.insert(sample.sha256))
        .take(count as usize)
        .collect()
}

/// The file with this number; the number is in the content, so that no other has it.
fn generate(number: u32) -> (String, Vec<u8>) {
    if number % 500 == 250 {
        return (format!("capture_{number:05}.wfm"), noise(number, LARGE));
    }
    let (name, text) = match number % 7 {
        0 => (format!("fct_{number:05}.json"), json(number)),
        1 => (format!("torque_{number:05}.csv"), csv(number)),
        2 => (format!("step_{number:05}.xml"), xml(number)),
        3 => (format!("junit_{number:05}.xml"), junit(number)),
        4 => (
            format!("chamber_{number:05}.tsv"),
            csv(number).replace(';', "\t"),
        ),
        5 => (
            format!("Prüfung {number:05} (Nacharbeit).txt"),
            format!("Prüfling {number}: in Ordnung\n"),
        ),
        _ => return (format!("scope_{number:05}.bin"), noise(number, 512)),
    };
    (name, text.into_bytes())
}

fn json(number: u32) -> String {
    let steps: Vec<_> = (0..4)
        .map(|step| serde_json::json!({ "step": step, "value": measured(number, step), "unit": "V", "pass": true }))
        .collect();
    serde_json::json!({ "serial": format!("PB-{number:06}"), "station": "FCT-1", "steps": steps })
        .to_string()
}

fn csv(number: u32) -> String {
    let rows = (0..6).map(|row| format!("{number};{row};{:.3};Nm;pass\n", measured(number, row)));
    std::iter::once("serial;screw;value;unit;result\n".to_owned())
        .chain(rows)
        .collect()
}

fn xml(number: u32) -> String {
    let value = measured(number, 0);
    format!(
        "<?xml version=\"1.0\"?>\n<unit serial=\"{number}\"><step name=\"leak\" value=\"{value:.3}\"/></unit>\n"
    )
}

fn junit(number: u32) -> String {
    format!(
        "<testsuite name=\"firmware\" tests=\"1\"><testcase name=\"boot {number}\" time=\"{:.3}\"/></testsuite>\n",
        measured(number, 1)
    )
}

/// A plausible measurement; the same one for the same number.
fn measured(number: u32, step: u32) -> f64 {
    4.0 + f64::from((number * 31 + step * 17) % 1_000) / 1_000.0
}

/// Bytes that no text tool would take for text, different for each number.
fn noise(number: u32, len: usize) -> Vec<u8> {
    let block = |at: u64| {
        <[u8; 32]>::from(Sha256::digest(
            [u64::from(number).to_le_bytes(), at.to_le_bytes()].concat(),
        ))
    };
    (0..).flat_map(block).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_differ_in_name_and_content() {
        let samples = samples(2_000);
        let names: HashSet<_> = samples.iter().map(|sample| &sample.name).collect();
        let contents: HashSet<_> = samples.iter().map(|sample| sample.sha256).collect();
        assert_eq!((names.len(), contents.len()), (2_000, 2_000));
        assert!(
            samples
                .iter()
                .any(|sample| sample.content.len() > 256 * 1024)
        );
        assert!(samples.iter().any(|sample| sample.content.is_empty()));
    }
}
