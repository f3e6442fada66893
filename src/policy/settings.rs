//! `[settings]`: what the policy says about itself.

use super::fault::Fault;
use super::grammar::{self, Miss, Token};
use super::host::HostPattern;
use super::limits;
use super::operands::decimal;
use super::reader::Reader;
use super::report::Line;
use super::suggest::nearest;
use super::text::clip;
use super::time::Timestamp;

const POLICY_VERSION: &str = "policy_version";
const NOT_BEFORE: &str = "not_before";
const EXPIRES: &str = "expires";
const HOST: &str = "host";
const DESCRIPTION: &str = "description";

/// The settings, in the order in which they are printed.
pub(super) const NAMES: [&str; 5] = [POLICY_VERSION, NOT_BEFORE, EXPIRES, HOST, DESCRIPTION];

/// The lines of the settings that were given.
#[derive(Debug, Default)]
pub(super) struct SettingLines(Vec<(&'static str, u32)>);

impl SettingLines {
    fn line(&self, name: &str) -> Option<u32> {
        self.0.iter().find(|(known, _)| *known == name).map(|&(_, line)| line)
    }
}

/// Reads one line of the section.
pub(super) fn read<'a>(reader: &mut Reader<'a>, line: Line<'a>, text: &'a str) {
    let (written, value) = match grammar::pair(text) {
        Ok((_, pair)) if !pair.0.is_empty() => pair,
        _ => return reader.report.at(line, text, &Fault::BadSetting),
    };
    let Some(name) = NAMES.into_iter().find(|&known| known == written) else {
        let fault = Fault::UnknownSetting { name: clip(written), nearest: nearest(written, NAMES) };
        reader.report.at(line, written, &fault);
        return;
    };
    if let Some(first) = reader.setting_lines.line(name) {
        reader.report.at(line, text, &Fault::DuplicateSetting { name, first });
        return;
    }
    reader.setting_lines.0.push((name, line.number));
    let token = match grammar::setting_value(value) {
        Ok((_, token)) => token,
        Err(error) => return reader.miss(line, &Miss::from_nom(error, text, Fault::BadSetting)),
    };
    if token.bytes.is_empty() {
        reader.report.at(line, text, &Fault::EmptySetting { name });
    } else if let Err(fault) = set(reader, name, &token) {
        reader.report.at(line, token.raw, &fault);
    }
}

/// What can only be judged when all settings are known.
pub(super) fn finish(reader: &mut Reader<'_>) {
    let settings = &reader.policy.settings;
    let reversed = settings.not_before.zip(settings.expires).is_some_and(|(from, to)| from >= to);
    if reversed && let Some(line) = reader.setting_lines.line(EXPIRES) {
        reader.report.on(line, &Fault::TimesReversed);
    }
}

fn set(reader: &mut Reader<'_>, name: &str, token: &Token<'_>) -> Result<(), Fault> {
    let settings = &mut reader.policy.settings;
    let text = str::from_utf8(&token.bytes).map_err(|_| Fault::BadDescription)?;
    let shown = || clip(text);
    match name {
        POLICY_VERSION => {
            let version = decimal(text).filter(|&version| version > 0);
            settings.policy_version = Some(version.ok_or_else(|| Fault::BadPolicyVersion { text: shown() })?);
        }
        NOT_BEFORE => {
            settings.not_before =
                Some(Timestamp::parse(text).ok_or_else(|| Fault::BadTime { text: shown() })?);
        }
        EXPIRES => {
            settings.expires = Some(Timestamp::parse(text).ok_or_else(|| Fault::BadTime { text: shown() })?);
        }
        HOST => {
            settings.host =
                Some(HostPattern::parse(text).ok_or_else(|| Fault::BadHostPattern { text: shown() })?);
        }
        _ => settings.description = Some(description(text)?),
    }
    Ok(())
}

/// The text goes to terminals and logs as it is: nothing in it may steer them.
fn description(text: &str) -> Result<String, Fault> {
    if text.len() > limits::DESCRIPTION_BYTES {
        return Err(Fault::DescriptionTooLong { bytes: text.len() });
    }
    if text.chars().any(char::is_control) { Err(Fault::BadDescription) } else { Ok(text.to_owned()) }
}
