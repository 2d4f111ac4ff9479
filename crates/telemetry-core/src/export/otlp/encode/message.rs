//! Protocol Buffers' wire format, as much of it as OTLP needs ("Protocol Buffers: Encoding"). As in proto3, a field
//! that has its default value is left out, except where it is one of a `oneof`.

/// The types of a field on the wire.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// Of so many bytes a length takes one byte, which is what a message leaves free for it.
const SHORT: usize = 0x80;

/// The bytes of a message, written field by field.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    #[inline]
    fn key(&mut self, field: u32, wire: u64) {
        self.varint(u64::from(field) << 3 | wire);
    }

    /// A number that is always there.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    /// A number, or nothing where it is 0.
    pub(super) fn count(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.number(field, value.into());
        }
    }

    /// 8 bytes that are always there.
    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// 8 bytes, or nothing where they are 0.
    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.key(field, FIXED64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// 4 bytes, or nothing where they are 0.
    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.key(field, FIXED32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Bytes or text that are always there.
    pub(super) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, DELIMITED);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A text, or nothing where it is empty.
    pub(super) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    /// A message with a text and a message with a text in it, the way that attributes are written: `outer.1` and
    /// `outer.2.field`. It is what spans are mostly made of, so where all lengths take one byte they are known and
    /// written at once.
    pub(super) fn pair(&mut self, outer: u32, key: &str, field: u32, text: &str) {
        let length = key.len() + text.len() + 6;
        if length >= SHORT || key.is_empty() {
            return self.message(outer, |message| {
                message.text(1, key);
                message.message(2, |message| message.bytes(field, text.as_bytes()));
            });
        }
        let tag = |field: u32| (u64::from(field) << 3 | DELIMITED) as u8;
        self.0.reserve(length + 2);
        self.0.extend_from_slice(&[tag(outer), length as u8, tag(1), key.len() as u8]);
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(&[tag(2), text.len() as u8 + 2, tag(field), text.len() as u8]);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A message in this one. Its length is known when it is written, and stands before it: most are short enough for the one
    /// byte that waits for it, and the others move on by what theirs takes more.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.key(field, DELIMITED);
        let start = self.0.len() + 1;
        self.0.push(0);
        write(self);
        let length = self.0.len() - start;
        if length < SHORT {
            self.0[start - 1] = length as u8;
            return;
        }
        let mut told = Self::default();
        told.varint(length as u64);
        self.0.splice(start - 1..start, told.0);
    }
}
