//! Checking a picture and writing it anew.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};
use sha2::{Digest, Sha256};

/// The most pixels that a picture may have (security.md, uploads).
pub const MAX_PIXELS: u64 = 40_000_000;

/// The longest side, in pixels: beyond that nothing shows a picture, and a thin one costs out of all proportion.
const MAX_SIDE: u32 = 16_384;

/// What decoding may take, in bytes: 40 megapixels of 8 bytes, the deepest there are, and room to
/// work.
const MAX_DECODED_BYTES: u64 = MAX_PIXELS * 8 + 64 * 1024 * 1024;

/// Of JPEG, 1 to 100: where a difference is hard to see and the size is half of 95's.
const JPEG_QUALITY: u8 = 86;

/// A kind of picture that we take and give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageType {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/webp`
    Webp,
}

impl ImageType {
    /// What the bytes begin like; a name or a declared type counts for nothing. SVG, GIF and
    /// everything else is `None`.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Self::Webp),
            _ => None,
        }
    }

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// What a file of it is called, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    const fn format(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
        }
    }
}

/// A picture written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessedImage {
    /// The file.
    pub bytes: Bytes,
    /// What it is now, which need not be what it came as.
    pub image_type: ImageType,
    /// In pixels, upright.
    pub width: u32,
    /// In pixels, upright.
    pub height: u32,
    /// SHA-256 of `bytes`: for the row and the ETag.
    pub sha256: [u8; 32],
}

/// What is wrong with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Neither JPEG nor PNG nor WebP (415).
    #[error("not a JPEG, PNG or WebP picture")]
    UnsupportedType,
    /// More than 40 megapixels, or a side that is too long (413).
    #[error("more than 40 megapixels or longer than {MAX_SIDE} pixels")]
    TooManyPixels,
    /// More bytes than may be kept, once written anew (413).
    #[error("too large once it is written anew")]
    TooLarge,
    /// Begins like a picture and is none, or is cut off.
    #[error("a damaged picture")]
    Damaged,
}

/// Checks a picture and writes it anew from its pixels.
///
/// JPEG stays JPEG and PNG stays PNG. WebP can only be written without loss here, which suits
/// what has transparency; what has none is a photo, and becomes JPEG. Of a moving picture the
/// first frame is kept. 16 bits a channel become 8; a colour profile is metadata and goes. What
/// would be more than `most` bytes becomes JPEG too, if it has no transparency.
pub(super) fn process(bytes: &[u8], most: u64) -> Result<ProcessedImage, ImageError> {
    let came_as = ImageType::sniff(bytes).ok_or(ImageError::UnsupportedType)?;
    if came_as == ImageType::Jpeg && !is_whole_jpeg(bytes) {
        return Err(ImageError::Damaged);
    }
    let mut picture = decode(bytes, came_as)?;
    let mut image_type = match came_as {
        ImageType::Webp if !picture.color().has_alpha() => ImageType::Jpeg,
        other => other,
    };
    picture = eight_bits(picture, image_type);
    let fits = |bytes: &Vec<u8>| u64::try_from(bytes.len()).is_ok_and(|length| length <= most);
    let mut bytes = encode(&picture, image_type)?;
    if !fits(&bytes) && image_type != ImageType::Jpeg && !picture.color().has_alpha() {
        image_type = ImageType::Jpeg;
        bytes = encode(&picture, image_type)?;
    }
    if !fits(&bytes) {
        return Err(ImageError::TooLarge);
    }
    Ok(ProcessedImage {
        sha256: Sha256::digest(&bytes).into(),
        bytes: bytes.into(),
        image_type,
        width: picture.width(),
        height: picture.height(),
    })
}

fn decode(bytes: &[u8], image_type: ImageType) -> Result<DynamicImage, ImageError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_type.format());
    reader.limits(limits.clone());
    // Reads the header alone.
    let mut decoder = reader.into_decoder().map_err(|error| refused(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS
        || width.max(height) > MAX_SIDE
        || decoder.total_bytes() > MAX_DECODED_BYTES
    {
        return Err(ImageError::TooManyPixels);
    }
    let orientation = decoder.orientation().map_err(|error| refused(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| refused(&error))?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn refused(error: &image::ImageError) -> ImageError {
    match error {
        image::ImageError::Limits(_) => ImageError::TooManyPixels,
        _ => ImageError::Damaged,
    }
}

/// What the encoder of `image_type` takes: grey or colour, with transparency where it is kept.
fn eight_bits(picture: DynamicImage, image_type: ImageType) -> DynamicImage {
    let keeps_alpha = image_type != ImageType::Jpeg;
    match picture.color() {
        ColorType::L8 | ColorType::Rgb8 => picture,
        ColorType::La8 | ColorType::Rgba8 if keeps_alpha => picture,
        ColorType::L16 => DynamicImage::ImageLuma8(picture.into_luma8()),
        ColorType::La16 if keeps_alpha => DynamicImage::ImageLumaA8(picture.into_luma_alpha8()),
        color if color.has_alpha() && keeps_alpha => DynamicImage::ImageRgba8(picture.into_rgba8()),
        _ => DynamicImage::ImageRgb8(picture.into_rgb8()),
    }
}

fn encode(picture: &DynamicImage, image_type: ImageType) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let (pixels, width, height) = (picture.as_bytes(), picture.width(), picture.height());
    let color = picture.color().into();
    let written = match image_type {
        ImageType::Jpeg => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
            .write_image(pixels, width, height, color),
        ImageType::Png => PngEncoder::new(&mut bytes).write_image(pixels, width, height, color),
        ImageType::Webp => {
            WebPEncoder::new_lossless(&mut bytes).write_image(pixels, width, height, color)
        }
    };
    // Only a picture that the format can't hold: a side beyond 16 bits.
    written.map_err(|_| ImageError::TooManyPixels)?;
    Ok(bytes)
}

/// Whether a JPEG goes on to its end mark. The decoder fills in for what is missing, so that half
/// a photo would pass with a grey rest; and an end mark alone says nothing, since the small
/// preview inside has one too.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        // Entropy-coded data, in which 0xff is followed by 0 or a restart mark, and fill bytes.
        let Some(at) = rest.iter().position(|byte| *byte == 0xff) else {
            return false;
        };
        let Some((marker, behind)) = rest.get(at + 1..).and_then(<[u8]>::split_first) else {
            return false;
        };
        rest = match marker {
            0xd9 => return true,
            0xff => rest.get(at + 1..).unwrap_or_default(),
            0x00 | 0x01 | 0xd0..=0xd8 => behind,
            _ => {
                let Some(length) = behind.first_chunk::<2>() else {
                    return false;
                };
                let Some(next) = behind.get(usize::from(u16::from_be_bytes(*length))..) else {
                    return false;
                };
                next
            }
        };
    }
}
