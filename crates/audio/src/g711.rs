//! G.711 (ITU-T): µ-law and A-law to 16-bit linear and back, by tables that are built at compile time.

/// The two companding laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// µ-law, PCMU, RTP payload type 0.
    Mu,
    /// A-law, PCMA, RTP payload type 8.
    A,
}

impl Law {
    /// The byte that stands for silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Mu => 0xff,
            Self::A => 0xd5,
        }
    }

    /// The linear value of a byte.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Mu => MU_DECODE[usize::from(byte)],
            Self::A => A_DECODE[usize::from(byte)],
        }
    }

    /// The byte nearest to a linear value.
    pub fn encode(self, sample: i16) -> u8 {
        // 14 bits are all that µ-law tells apart and 13 all that A-law does: a table over the upper 14 serves both.
        let index = usize::from((sample as u16) >> 2);
        match self {
            Self::Mu => MU_ENCODE[index],
            Self::A => A_ENCODE[index],
        }
    }

    /// Decodes as many bytes as fit into `samples`; returns how many.
    pub fn decode_slice(self, bytes: &[u8], samples: &mut [i16]) -> usize {
        let pairs = samples.iter_mut().zip(bytes);
        pairs.map(|(sample, byte)| *sample = self.decode(*byte)).count()
    }

    /// Encodes as many samples as fit into `bytes`; returns how many.
    pub fn encode_slice(self, samples: &[i16], bytes: &mut [u8]) -> usize {
        let pairs = bytes.iter_mut().zip(samples);
        pairs.map(|(byte, sample)| *byte = self.encode(*sample)).count()
    }
}

static MU_DECODE: [i16; 256] = decode_table(true);
static A_DECODE: [i16; 256] = decode_table(false);
static MU_ENCODE: [u8; 1 << 14] = encode_table(true);
static A_ENCODE: [u8; 1 << 14] = encode_table(false);

const fn decode_table(mu: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if mu { mu_to_linear(byte as u8) } else { a_to_linear(byte as u8) };
        byte += 1;
    }
    table
}

const fn encode_table(mu: bool) -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < 1 << 14 {
        // The upper 14 bits of the sample, sign included.
        let sample = ((index as u16) << 2) as i16;
        table[index] = if mu { linear_to_mu(sample) } else { linear_to_a(sample) };
        index += 1;
    }
    table
}

/// Table 2a of G.711: sign, three bits of segment, four of step, all inverted.
const fn mu_to_linear(byte: u8) -> i16 {
    let code = !byte;
    let (segment, step) = ((code >> 4) & 7, (code & 15) as i32);
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    (if code & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

const fn linear_to_mu(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0x80u8, -(sample as i32)) } else { (0, sample as i32) };
    let biased = if magnitude > 32_635 { 32_635 + 0x84 } else { magnitude + 0x84 };
    let segment = 24 - (biased as u32).leading_zeros(); // 0x84 lies in segment 0
    let step = (biased >> (segment + 3)) & 15;
    !(sign | ((segment as u8) << 4) | step as u8)
}

/// Table 1a of G.711: even bits inverted, sign positive when set.
const fn a_to_linear(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, (code & 15) as i32);
    let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
    (if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

const fn linear_to_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0u8, !(sample as i32)) } else { (0x80, sample as i32) };
    let code = if magnitude < 256 {
        magnitude >> 4
    } else {
        let segment = 24 - (magnitude as u32).leading_zeros();
        ((segment as i32) << 4) | ((magnitude >> (segment + 3)) & 15)
    };
    (sign | code as u8) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_reads_back_from_its_value() {
        for byte in 0..=255u8 {
            assert_eq!(Law::A.encode(Law::A.decode(byte)), byte, "A-law {byte:#x}");
            // µ-law has two zeros, which are one linear value.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(byte)), expected, "µ-law {byte:#x}");
        }
    }

    /// Decision values at the ends of G.711 tables 1 and 2, on the 16-bit scale.
    #[test]
    fn g711_known_values() {
        for (byte, value) in [(0xff, 0), (0x80, 32_124), (0x00, -32_124), (0xef, 132), (0x8f, 16_764), (0x7e, -8)] {
            assert_eq!(Law::Mu.decode(byte), value, "µ-law {byte:#x}");
        }
        for (byte, value) in [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xc5, 264)] {
            assert_eq!(Law::A.decode(byte), value, "A-law {byte:#x}");
        }
    }

    #[test]
    fn the_error_stays_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            for (law, floor) in [(Law::Mu, 8), (Law::A, 20)] {
                let error = (i32::from(law.decode(law.encode(sample))) - i32::from(sample)).abs();
                let clipped = magnitude > 32_124;
                assert!(clipped || error <= magnitude / 16 + floor, "{law:?} {sample}: {error}");
                assert!(error <= 1_100);
            }
        }
    }

    #[test]
    fn larger_samples_never_get_smaller_codes() {
        for law in [Law::Mu, Law::A] {
            let decoded: Vec<i16> = (i16::MIN..=i16::MAX).map(|sample| law.decode(law.encode(sample))).collect();
            assert!(decoded.is_sorted(), "{law:?}");
        }
    }

    #[test]
    fn silence_is_silent() {
        assert_eq!(Law::Mu.encode(0), Law::Mu.silence());
        assert_eq!(Law::A.encode(0), Law::A.silence());
    }
}
