//! Instants of a policy: RFC 3339 in UTC, kept as seconds.

use std::fmt;

use nom::bytes::complete::take_while_m_n;
use nom::character::complete::{char, one_of};
use nom::combinator::{all_consuming, map_res, opt};
use nom::sequence::preceded;
use nom::{IResult, Parser};
use serde::{Serialize, Serializer};

const DAY: i64 = 86_400;

/// Seconds since 1970-01-01T00:00:00Z; from 0 up to the end of the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last instant that RFC 3339 can write: 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// From seconds since 1970, or nothing outside the years 1970 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&seconds).then_some(Self(seconds))
    }

    /// Seconds since 1970.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Reads `2026-12-31T23:59:59Z`, or `2026-12-31` for the beginning of that day.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, (year, month, day, time)) = all_consuming(date_time).parse(text).ok()?;
        let (hour, minute, second) = time.unwrap_or_default();
        let fits = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        fits.then(|| {
            let seconds = hour * 3600 + minute * 60 + second;
            Self(days_before(year, month, day) * DAY + seconds)
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let seconds = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

type DateTime = (i64, i64, i64, Option<(i64, i64, i64)>);

fn date_time(input: &str) -> IResult<&str, DateTime> {
    let time = (digits(2), preceded(char(':'), digits(2)), preceded(char(':'), digits(2)));
    let clock = (one_of("Tt"), time, one_of("Zz")).map(|(_, time, _)| time);
    (digits(4), preceded(char('-'), digits(2)), preceded(char('-'), digits(2)), opt(clock)).parse(input)
}

fn digits<'a>(count: usize) -> impl Parser<&'a str, Output = i64, Error = nom::error::Error<&'a str>> {
    map_res(take_while_m_n(count, count, |c: char| c.is_ascii_digit()), str::parse)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March so that the leap
/// day is the last of the year.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date that is so many days after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * from_march + 2) / 5 + 1, (from_march + 2) % 12 + 1);
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        let known = [
            ("1970-01-01", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2026-12-31T23:59:59Z", 1_798_761_599),
            ("9999-12-31T23:59:59z", Timestamp::MAX.unix()),
        ];
        for (text, seconds) in known {
            assert_eq!(Timestamp::parse(text), Timestamp::from_unix(seconds), "{text}");
        }
    }

    #[test]
    fn every_day_is_printed_and_read_back() {
        for day in (0..=Timestamp::MAX.unix() / DAY).step_by(61) {
            let instant = Timestamp::from_unix(day * DAY + 3723).unwrap();
            assert_eq!(Timestamp::parse(&instant.to_string()), Some(instant));
        }
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        let bad = [
            "",
            "2026",
            "2026-1-1",
            "2026-13-01",
            "2026-02-29",
            "2026-04-31",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00+02:00",
            "1969-12-31",
            "2026-01-01T00:00:00.5Z",
            "+026-01-01",
            "2026-01-01x",
        ];
        for text in bad {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
