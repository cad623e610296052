//! Literals: text becomes a value of the type of the field that it is compared with.

use std::net::IpAddr;

use super::{
    datum::Datum,
    fault::Fault,
    scan::{Form, Raw, quoted},
    tree::Literal,
};
use crate::{
    address::{Address, Mac},
    fields::known::Kind,
};

/// The literal as a value of this type.
pub(super) fn typed(raw: &Raw, kind: Kind, subject: &str) -> Result<Literal, Fault> {
    let plain = |datum| Literal { datum, mask: None };
    let typed = match (&raw.form, kind) {
        (Form::Word(word), Kind::Ipv4 | Kind::Ipv6) => address(word, kind == Kind::Ipv4),
        (Form::Word(word), Kind::Number(bits)) => number(word, bits).map(plain),
        (Form::Character(byte), Kind::Number(_)) => Ok(plain(Datum::Number((*byte).into()))),
        (Form::Word(word), Kind::Flag) => flag(word).map(plain),
        (Form::Quoted(text), Kind::Flag) => match text.as_slice() {
            b"Set" => Ok(plain(Datum::Number(1))),
            b"Not set" => Ok(plain(Datum::Number(0))),
            _ => Err("is neither 1 nor 0".to_owned()),
        },
        (Form::Word(word), Kind::Mac) => mac(word).map(plain),
        (Form::Word(word), Kind::Seconds) => seconds(word).map(plain),
        (Form::Word(word), Kind::Text) => Ok(plain(bytes(word.as_bytes()))),
        (Form::Word(word), Kind::Bytes | Kind::Layer) => hex(word).map(|it| plain(bytes(&it))),
        (Form::Character(byte), Kind::Bytes | Kind::Layer) => Ok(plain(bytes(&[*byte]))),
        (Form::Quoted(text), Kind::Text | Kind::Bytes | Kind::Layer) => Ok(plain(bytes(text))),
        (Form::Quoted(text), _) => {
            let text = String::from_utf8_lossy(text);
            let message = format!(
                "{subject} is no text ({kind}): write {} without quotes",
                quoted(&text)
            );
            return Err(fault(raw, message));
        }
        (Form::Character(_), _) => Err(format!("is no {kind}")),
    };
    typed.map_err(|why| {
        let shown = match &raw.form {
            Form::Word(word) => quoted(word),
            Form::Quoted(text) => quoted(&String::from_utf8_lossy(text)),
            Form::Character(byte) => quoted(&char::from(*byte).to_string()),
        };
        fault(raw, format!("{shown} {why}, as {subject} wants ({kind})"))
    })
}

fn fault(raw: &Raw, message: String) -> Fault {
    Fault {
        column: raw.column,
        message,
    }
}

fn bytes(bytes: &[u8]) -> Datum<'static> {
    Datum::Bytes(bytes.to_vec().into())
}

/// A number in base 10, 16 (`0x`), 8 (`0`) or 2 (`0b`), as in C.
fn number(word: &str, bits: u8) -> Result<Datum<'static>, String> {
    let (digits, radix) = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&word[2..], 16),
        [b'0', b'b' | b'B', ..] => (&word[2..], 2),
        [b'0', _, ..] => (&word[1..], 8),
        _ => (word, 10),
    };
    let is_digits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if !is_digits {
        return Err("is not a number".to_owned());
    }
    let most = u64::MAX >> (64 - u32::from(bits.clamp(1, 64)));
    match u64::from_str_radix(digits, radix) {
        Ok(number) if number <= most => Ok(Datum::Number(number)),
        _ => Err(format!("is more than {most}")),
    }
}

/// Any number but 0 is true, as in Wireshark.
fn flag(word: &str) -> Result<Datum<'static>, String> {
    let flag = match word {
        "true" | "True" | "TRUE" | "Set" => 1,
        "false" | "False" | "FALSE" => 0,
        word => match number(word, 64) {
            Ok(Datum::Number(number)) => u64::from(number != 0),
            _ => return Err("is neither 1 nor 0".to_owned()),
        },
    };
    Ok(Datum::Number(flag))
}

/// An address or a prefix.
fn address(word: &str, is_v4: bool) -> Result<Literal, String> {
    let what = if is_v4 { "IPv4" } else { "IPv6" };
    let (text, prefix) = match word.split_once('/') {
        Some((text, prefix)) => (text, Some(prefix)),
        None => (word, None),
    };
    let ip = match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_ipv4() == is_v4 => ip,
        _ => return Err(format!("is no {what} address")),
    };
    let Some(prefix) = prefix else {
        return Ok(Literal {
            datum: Datum::Address(ip.into()),
            mask: None,
        });
    };
    let most = if is_v4 { 32 } else { 128 };
    let is_digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let Some(len) = prefix
        .parse::<u32>()
        .ok()
        .filter(|len| is_digits && *len <= most)
    else {
        return Err(format!("has a prefix beyond /{most}"));
    };
    let mask = match is_v4 {
        true => {
            let bits = u32::MAX.checked_shl(32 - len).unwrap_or(0);
            Address::v4(bits.to_be_bytes())
        }
        false => {
            let bits = u128::MAX.checked_shl(128 - len).unwrap_or(0);
            Address::v6(bits.to_be_bytes())
        }
    };
    let mask = Datum::Address(mask);
    Ok(Literal {
        datum: Datum::Address(ip.into()).masked(&mask),
        mask: Some(mask),
    })
}

fn mac(word: &str) -> Result<Datum<'static>, String> {
    let bytes = hex(word)
        .ok()
        .and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    let mac = bytes.ok_or("is no MAC address such as 02:00:00:00:00:01")?;
    Ok(Datum::Mac(Mac(mac)))
}

/// Bytes as pairs of digits in base 16, with or without `:`, `-` or `.` between them; one may be `0x1f` or a single digit.
fn hex(word: &str) -> Result<Vec<u8>, String> {
    let no = || "are no bytes such as 0a:1f or \"text\"".to_owned();
    let digits = match word.strip_prefix("0x") {
        Some(digits) if digits.len() == 2 => digits,
        Some(_) => return Err(no()),
        None => word,
    };
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    if let [single] = digits.as_bytes() {
        return digit(*single).map(|byte| vec![byte]).ok_or_else(no);
    }
    let mut bytes = Vec::new();
    let mut rest = digits.as_bytes();
    while let [high, low, behind @ ..] = rest {
        bytes.push(digit(*high).ok_or_else(no)? << 4 | digit(*low).ok_or_else(no)?);
        rest = match behind {
            [b':' | b'-' | b'.', next @ ..] if !next.is_empty() => next,
            _ => behind,
        };
    }
    if rest.is_empty() && !bytes.is_empty() {
        Ok(bytes)
    } else {
        Err(no())
    }
}

/// Seconds with a fraction down to nanoseconds.
fn seconds(word: &str) -> Result<Datum<'static>, String> {
    let no = || "is no number of seconds".to_owned();
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_empty = whole.is_empty() && fraction.is_empty();
    if is_empty || !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return Err(no());
    }
    let whole: u64 = format!("0{whole}").parse().map_err(|_| no())?;
    let fraction: u64 = format!("{fraction:0<9}").parse().map_err(|_| no())?;
    let ns = i128::from(whole) * 1_000_000_000 + i128::from(fraction);
    Ok(Datum::Nanoseconds(sign * ns))
}
