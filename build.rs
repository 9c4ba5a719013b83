//! Makes sure that the folder of the GraphiQL page exists, so that embedding it compiles where npm never ran.

use std::{fs, path::Path, time::SystemTime};

fn main() -> std::io::Result<()> {
    let dist = Path::new("web/dist");
    if !dist.exists() {
        fs::create_dir_all(dist)?;
        // A folder younger than this run would make cargo compile everything a second time; an old one does not.
        // Where the file system refuses the date, that second time is the whole cost.
        let _ = fs::File::open(dist).and_then(|folder| folder.set_modified(SystemTime::UNIX_EPOCH));
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web/dist");
    Ok(())
}
