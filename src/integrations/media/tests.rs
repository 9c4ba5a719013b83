use std::io::Cursor;

use ::image::{
    DynamicImage, ImageFormat, ImageReader, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::webp::WebPEncoder,
};
use sha2::{Digest, Sha256};

use super::{
    image::{ImageError, ImageType, ProcessedImage, process},
    *,
};

/// 40 wide, 20 high; red to the left, blue to the right.
fn picture() -> RgbImage {
    RgbImage::from_fn(40, 20, |x, _| {
        if x < 20 {
            Rgb([250, 5, 5])
        } else {
            Rgb([5, 5, 250])
        }
    })
}

/// What the tests allow, in bytes.
const MOST: u64 = 10 * 1024 * 1024;

fn processed(bytes: &[u8]) -> Result<ProcessedImage, ImageError> {
    process(bytes, MOST)
}

async fn read(store: &MediaStore, key: MediaKey, range: Option<Range<u64>>) -> Option<String> {
    let file = store.open(key, range).await.unwrap()?;
    let pieces: Vec<Bytes> = file.bytes.try_collect().await.unwrap();
    let bytes = pieces.concat();
    assert_eq!(bytes.len() as u64, file.length);
    Some(String::from_utf8(bytes).unwrap())
}

fn file(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decoded(image: &ProcessedImage) -> RgbImage {
    let mut reader = ImageReader::new(Cursor::new(&image.bytes));
    reader.set_format(match image.image_type {
        ImageType::Jpeg => ImageFormat::Jpeg,
        ImageType::Png => ImageFormat::Png,
        ImageType::Webp => ImageFormat::WebP,
    });
    reader.decode().unwrap().into_rgb8()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A TIFF block with this orientation and a GPS directory that says 47° north.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    tiff.extend(2_u16.to_le_bytes());
    // Orientation, SHORT, 1 value.
    tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    // The GPS directory at 38, LONG.
    tiff.extend([0x25, 0x88, 4, 0, 1, 0, 0, 0, 38, 0, 0, 0]);
    tiff.extend([0; 4]);
    assert_eq!(tiff.len(), 38);
    tiff.extend(2_u16.to_le_bytes());
    // LatitudeRef, ASCII "N"; Latitude, 3 RATIONALs at 68.
    tiff.extend([1, 0, 2, 0, 2, 0, 0, 0, b'N', 0, 0, 0]);
    tiff.extend([2, 0, 5, 0, 3, 0, 0, 0, 68, 0, 0, 0]);
    tiff.extend([0; 4]);
    for (number, of) in [(47_u32, 1_u32), (22, 1), (1_234_567, 100_000)] {
        tiff.extend(number.to_le_bytes());
        tiff.extend(of.to_le_bytes());
    }
    tiff
}

fn jpeg_with_exif(orientation: u8) -> Vec<u8> {
    let plain = file(picture(), ImageFormat::Jpeg);
    let mut segment = b"Exif\0\0".to_vec();
    segment.extend(exif(orientation));
    let mut bytes = plain[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend(u16::try_from(segment.len() + 2).unwrap().to_be_bytes());
    bytes.extend(segment);
    bytes.extend(&plain[2..]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut body = kind.to_vec();
    body.extend(data);
    let mut chunk = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(&body);
    chunk.extend(crc32(&body).to_be_bytes());
    chunk
}

/// A small PNG that says it is this large.
fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let small = file(picture(), ImageFormat::Png);
    let mut header = small[16..29].to_vec();
    header[..4].copy_from_slice(&width.to_be_bytes());
    header[4..8].copy_from_slice(&height.to_be_bytes());
    let mut bytes = small[..8].to_vec();
    bytes.extend(png_chunk(b"IHDR", &header));
    bytes.extend(&small[33..]);
    bytes
}

/// A small JPEG that says it is this large.
fn jpeg_bomb(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = file(picture(), ImageFormat::Jpeg);
    let frame = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[test]
fn a_picture_is_written_anew_with_its_size_type_and_hash() {
    for (format, came_as, expected) in [
        (ImageFormat::Jpeg, ImageType::Jpeg, ImageType::Jpeg),
        (ImageFormat::Png, ImageType::Png, ImageType::Png),
        (ImageFormat::WebP, ImageType::Webp, ImageType::Jpeg),
    ] {
        let bytes = file(picture(), format);
        assert_eq!(ImageType::sniff(&bytes), Some(came_as));
        let image = processed(&bytes).unwrap();
        assert_eq!(image.image_type, expected);
        assert_eq!(ImageType::sniff(&image.bytes), Some(expected));
        assert_eq!((image.width, image.height), (40, 20));
        assert_eq!(image.sha256, <[u8; 32]>::from(Sha256::digest(&image.bytes)));
        let pixels = decoded(&image);
        assert!(
            pixels[(3, 10)][0] > 200 && pixels[(36, 10)][2] > 200,
            "{format:?}"
        );
        assert_eq!(processed(&bytes).unwrap(), image, "the same each time");
    }
}

#[test]
fn transparency_stays_where_the_format_has_it() {
    let clear = RgbaImage::from_fn(8, 8, |x, _| Rgba([10, 20, 30, if x < 4 { 0 } else { 255 }]));
    for (format, expected) in [
        (ImageFormat::Png, ImageType::Png),
        (ImageFormat::WebP, ImageType::Webp),
    ] {
        let image = processed(&file(clear.clone(), format)).unwrap();
        assert_eq!(image.image_type, expected);
        let read = ::image::load_from_memory(&image.bytes)
            .unwrap()
            .into_rgba8();
        assert_eq!((read[(0, 0)][3], read[(7, 7)][3]), (0, 255), "{format:?}");
    }
}

#[test]
fn deep_and_grey_pictures_become_eight_bits() {
    use ::image::{ImageBuffer, Luma, LumaA};
    let deep: ImageBuffer<Rgba<u16>, _> =
        ImageBuffer::from_pixel(4, 4, Rgba([65_535, 0, 0, 32_768]));
    let image = processed(&file(deep, ImageFormat::Png)).unwrap();
    let read = ::image::load_from_memory(&image.bytes).unwrap();
    assert_eq!(read.color(), ::image::ColorType::Rgba8);
    let grey: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_pixel(4, 4, Luma([65_535]));
    let image = processed(&file(grey, ImageFormat::Png)).unwrap();
    let read = ::image::load_from_memory(&image.bytes).unwrap();
    assert_eq!(read.color(), ::image::ColorType::L8);
    let clear: ImageBuffer<LumaA<u8>, _> = ImageBuffer::from_pixel(4, 4, LumaA([9, 9]));
    assert!(processed(&file(clear, ImageFormat::Png)).is_ok());
    let grey: ImageBuffer<Luma<u8>, _> = ImageBuffer::from_pixel(4, 4, Luma([99]));
    assert!(processed(&file(grey, ImageFormat::Jpeg)).is_ok());
}

#[test]
fn a_photo_is_turned_upright_and_forgets_its_place() {
    let bytes = jpeg_with_exif(6);
    assert!(contains(&bytes, b"Exif") && contains(&bytes, &1_234_567_u32.to_le_bytes()));
    let image = processed(&bytes).unwrap();
    // Turned clockwise: what was left is above.
    assert_eq!((image.width, image.height), (20, 40));
    let pixels = decoded(&image);
    assert!(pixels[(10, 3)][0] > 200 && pixels[(10, 36)][2] > 200);
    assert!(!contains(&image.bytes, b"Exif"));
    assert!(!contains(&image.bytes, &exif(6)[38..]));
}

#[test]
fn texts_and_profiles_of_a_png_go_too() {
    let plain = file(picture(), ImageFormat::Png);
    let mut bytes = plain[..33].to_vec();
    bytes.extend(png_chunk(b"tEXt", b"Comment\0at home, 47.37 N"));
    bytes.extend(png_chunk(b"eXIf", &exif(1)));
    bytes.extend(&plain[33..]);
    let image = processed(&bytes).unwrap();
    for part in [&b"tEXt"[..], b"eXIf", b"at home"] {
        assert!(contains(&bytes, part) && !contains(&image.bytes, part));
    }
}

#[test]
fn what_is_too_large_once_written_anew_becomes_a_photo_or_is_refused() {
    // Noise, which no format packs without loss.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let opaque = RgbImage::from_fn(64, 64, |_, _| Rgb([noise(), noise(), noise()]));
    let opaque = file(opaque, ImageFormat::Png);
    let image = process(&opaque, 10_000).unwrap();
    assert_eq!(image.image_type, ImageType::Jpeg);
    assert!(image.bytes.len() <= 10_000);
    assert_eq!(process(&opaque, 1000), Err(ImageError::TooLarge));
    let clear = RgbaImage::from_fn(64, 64, |_, _| Rgba([noise(), noise(), noise(), noise()]));
    let clear = file(clear, ImageFormat::Png);
    assert_eq!(process(&clear, 10_000), Err(ImageError::TooLarge));
}

#[test]
fn a_header_that_promises_too_much_is_refused_before_decoding() {
    assert_eq!(
        processed(&png_bomb(1, 16_385)),
        Err(ImageError::TooManyPixels)
    );
    assert_eq!(
        processed(&png_bomb(50_000, 50_000)),
        Err(ImageError::TooManyPixels)
    );
    assert_eq!(
        processed(&png_bomb(8_001, 5_000)),
        Err(ImageError::TooManyPixels)
    );
    assert!(processed(&png_bomb(u32::MAX, u32::MAX)).is_err());
    assert_eq!(
        processed(&jpeg_bomb(65_000, 65_000)),
        Err(ImageError::TooManyPixels)
    );
    // 16 383 to either side.
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp)
        .encode(&picture(), 40, 20, ::image::ExtendedColorType::Rgb8)
        .unwrap();
    let at = webp.windows(4).position(|w| w == b"VP8L").unwrap() + 9;
    webp[at..at + 4].copy_from_slice(&(16_382_u32 | 16_382 << 14).to_le_bytes());
    assert_eq!(processed(&webp), Err(ImageError::TooManyPixels));
    assert_eq!(processed(&png_bomb(0, 10)), Err(ImageError::Damaged));
}

#[test]
fn a_picture_of_just_forty_megapixels_passes() {
    let image = processed(&file(
        ::image::GrayImage::new(8_000, 5_000),
        ImageFormat::Png,
    ))
    .unwrap();
    assert_eq!((image.width, image.height), (8_000, 5_000));
}

#[test]
fn what_is_cut_off_or_bent_is_damaged() {
    for bytes in [
        file(picture(), ImageFormat::Jpeg),
        jpeg_with_exif(1),
        file(picture(), ImageFormat::Png),
        file(picture(), ImageFormat::WebP),
    ] {
        assert!(processed(&bytes).is_ok());
        for kept in [
            bytes.len() - 1,
            bytes.len() - 2,
            bytes.len() / 2,
            40,
            20,
            13,
        ] {
            // The last bytes of PNG and WebP carry no pixels, so only real losses count there.
            let is_jpeg = bytes[0] == 0xff;
            if is_jpeg || kept <= bytes.len() / 2 {
                assert_eq!(
                    processed(&bytes[..kept]),
                    Err(ImageError::Damaged),
                    "{kept}"
                );
            }
        }
    }
    // The preview's end mark is not the photo's.
    let whole = jpeg_with_exif(1);
    let mut preview = whole[..whole.len() / 2].to_vec();
    let at = preview.windows(4).position(|w| w == b"Exif").unwrap();
    preview[at + 40..at + 42].copy_from_slice(&[0xff, 0xd9]);
    assert_eq!(processed(&preview), Err(ImageError::Damaged));
}

#[test]
fn other_files_are_refused_whatever_they_are_called() {
    for bytes in [
        &b""[..],
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
        b"<?xml version=\"1.0\"?><svg/>",
        b"BM\x46\0\0\0",
        b"\0\0\0\x20ftypavif",
        b"\0\0\0\x18ftypheic",
        b"II*\0\x08\0\0\0",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"%PDF-1.7",
        b"<!doctype html><script>alert(1)</script>",
        b" \xff\xd8\xff\xe0",
    ] {
        assert_eq!(
            processed(bytes),
            Err(ImageError::UnsupportedType),
            "{bytes:?}"
        );
    }
    // Begins like a picture and is a page.
    for begin in [
        &b"\xff\xd8\xff"[..],
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x24\0\0\0WEBP",
    ] {
        let mut bytes = begin.to_vec();
        bytes.extend(b"<script>alert(1)</script>".repeat(20));
        assert_eq!(processed(&bytes), Err(ImageError::Damaged));
    }
}

#[test]
fn a_second_meaning_does_not_survive() {
    let hidden = b"PK\x03\x04<script>alert(document.domain)</script>";
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let mut bytes = file(picture(), format);
        bytes.extend(hidden);
        if let Ok(image) = processed(&bytes) {
            assert!(!contains(&image.bytes, b"script"), "{format:?}");
        }
    }
    let plain = file(picture(), ImageFormat::Jpeg);
    let mut bytes = plain[..2].to_vec();
    bytes.extend([0xff, 0xfe, 0, u8::try_from(hidden.len() + 2).unwrap()]);
    bytes.extend(hidden);
    bytes.extend(&plain[2..]);
    assert!(!contains(&processed(&bytes).unwrap().bytes, b"script"));
}

proptest::proptest! {
    #[test]
    fn bent_bytes_never_break_the_decoder(
        at in 0_usize..1_000,
        byte in proptest::prelude::any::<u8>(),
        which in 0_usize..3,
    ) {
        let format = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP][which];
        let mut bytes = file(picture(), format);
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Ok(image) = processed(&bytes) {
            proptest::prop_assert!(u64::from(image.width) * u64::from(image.height) <= MAX_PIXELS);
        }
    }
}

/// A folder of its own for a test, gone after it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let random = crate::entropy::Entropy::system().bytes::<8>();
        let name = format!("companion-media-{}", hex::encode(random));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn files_are_kept_under_our_keys_and_found_again_after_a_restart() {
    let folder = Folder::new();
    let store = MediaStore::local(&folder.0).unwrap();
    let key = MediaKey::new("0198a1b2-c3d4-7e5f-8a6b-0102030405ef".parse().unwrap());
    assert_eq!(key.to_string(), "05/ef/0198a1b2c3d47e5f8a6b0102030405ef");
    assert_eq!(read(&store, key, None).await, None);
    assert_eq!(read(&store, key, Some(0..1)).await, None);
    assert_eq!(read(&store, key, None).await, None);
    store.delete(key).await.unwrap();

    store
        .put(key, Bytes::from_static(b"0123456789"))
        .await
        .unwrap();
    store
        .put(key, Bytes::from_static(b"abcdefghij"))
        .await
        .unwrap();
    let again = MediaStore::local(&folder.0).unwrap();
    assert_eq!(read(&again, key, None).await.unwrap(), "abcdefghij");
    assert_eq!(read(&again, key, Some(2..5)).await.unwrap(), "cde");
    assert_eq!(read(&again, key, Some(8..100)).await.unwrap(), "ij");
    assert!(again.open(key, Some(10..11)).await.is_err());
    assert!(read(&again, key, None).await.is_some());
    assert!(folder.0.join(key.to_string()).is_file());
    again.delete(key).await.unwrap();
    assert_eq!(read(&store, key, None).await, None);
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_said_at_once() {
    let folder = Folder::new();
    std::fs::write(&folder.0, "a file").unwrap();
    assert!(MediaStore::local(&folder.0).is_err());
    std::fs::remove_file(&folder.0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pictures_at_once_are_all_worked_on() {
    let folder = Folder::new();
    let store = MediaStore::local(&folder.0).unwrap();
    let bytes = Bytes::from(file(picture(), ImageFormat::Jpeg));
    let work: Vec<_> = (0..16)
        .map(|_| {
            let (store, bytes) = (store.clone(), bytes.clone());
            tokio::spawn(async move { store.process_image(bytes, MOST).await })
        })
        .collect();
    for image in work {
        assert_eq!(image.await.unwrap().unwrap().width, 40);
    }
    let bad = store
        .process_image(Bytes::from_static(b"GIF89a"), MOST)
        .await;
    assert_eq!(bad, Err(ImageError::UnsupportedType));
}
