//! Integers, floats and bools, read from any form that Go takes them in.

use super::error::DecodeError;
use super::marker;
use super::read::Decoder;

impl Decoder<'_> {
    /// A bool; Go also takes the integers 0 and 1.
    #[inline]
    pub(super) fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            marker::FALSE | 0 | marker::NIL => Ok(false),
            marker::TRUE | 1 => Ok(true),
            marker => Err(DecodeError::Bool { marker }),
        }
    }

    /// An integer for a signed field of `bits` bits. Integers above the range of 64 bits wrap, as in Go.
    #[inline]
    pub(super) fn int(&mut self, bits: u32) -> Result<i64, DecodeError> {
        match self.fixint() {
            Some(small) => Ok(small.into()),
            None => self.long_int(bits),
        }
    }

    #[inline(never)]
    fn long_int(&mut self, bits: u32) -> Result<i64, DecodeError> {
        let marker = self.byte()?;
        let value = match marker {
            marker::NEGINT.. => return Ok(marker.cast_signed().into()),
            marker::NIL => return Ok(0),
            marker::U8 => u8::from_be_bytes(self.number()?).into(),
            marker::U16 => u16::from_be_bytes(self.number()?).into(),
            marker::U32 => u32::from_be_bytes(self.number()?).into(),
            marker::U64 => u64::from_be_bytes(self.number()?).cast_signed(),
            _ => self
                .signed(marker)?
                .ok_or(DecodeError::Integer { marker })?,
        };
        let spare = 64 - bits;
        if (value << spare) >> spare != value {
            return Err(DecodeError::IntOverflow { value });
        }
        Ok(value)
    }

    /// An integer for an unsigned field of `bits` bits.
    #[inline]
    pub(super) fn uint(&mut self, bits: u32) -> Result<u64, DecodeError> {
        match self.fixint() {
            Some(small) => Ok(small.into()),
            None => self.long_uint(bits),
        }
    }

    #[inline(never)]
    fn long_uint(&mut self, bits: u32) -> Result<u64, DecodeError> {
        let marker = self.byte()?;
        let value = match marker {
            // Go prints the marker and not the number that it stands for.
            marker::NEGINT.. => {
                let value = marker.into();
                return Err(DecodeError::Negative { value });
            }
            marker::NIL => return Ok(0),
            marker::U8 => u8::from_be_bytes(self.number()?).into(),
            marker::U16 => u16::from_be_bytes(self.number()?).into(),
            marker::U32 => u32::from_be_bytes(self.number()?).into(),
            marker::U64 => u64::from_be_bytes(self.number()?),
            _ => {
                let value = self
                    .signed(marker)?
                    .ok_or(DecodeError::Integer { marker })?;
                u64::try_from(value).map_err(|_| DecodeError::Negative { value })?
            }
        };
        let spare = 64 - bits;
        if (value << spare) >> spare != value {
            return Err(DecodeError::UintOverflow { value });
        }
        Ok(value)
    }

    /// The number behind a signed marker; `None` behind any other.
    #[inline]
    fn signed(&mut self, marker: u8) -> Result<Option<i64>, DecodeError> {
        Ok(Some(match marker {
            marker::I8 => i8::from_be_bytes(self.number()?).into(),
            marker::I16 => i16::from_be_bytes(self.number()?).into(),
            marker::I32 => i32::from_be_bytes(self.number()?).into(),
            marker::I64 => i64::from_be_bytes(self.number()?),
            _ => return Ok(None),
        }))
    }

    /// A float; Go also takes integers, all of them as signed ones.
    pub(super) fn float(&mut self) -> Result<f64, DecodeError> {
        match self.peek()? {
            marker::F32 => {
                self.byte()?;
                Ok(f32::from_be_bytes(self.number()?).into())
            }
            marker::F64 => {
                self.byte()?;
                Ok(f64::from_be_bytes(self.number()?))
            }
            _ => Ok(self.int(64)? as f64),
        }
    }
}
