//! What is in the files after they were filled, moved, cut short.

use super::*;
use std::path::Path;

const LIMITS: Limits = Limits { bytes: 100, older: 2 };

fn files(place: &Path) -> Files {
    Files::new(place.to_owned(), "audit.log", LIMITS)
}

fn read(place: &Path) -> String {
    fs::read_to_string(place.join("audit.log")).unwrap()
}

#[test]
fn files_are_bounded_in_size_and_number_and_for_root_alone() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("audit");
    let mut files_here = files(&place);
    for line in 0..100 {
        files_here.append(&format!("{line:0>30}")).unwrap();
    }
    // Another run goes on where the last one ended.
    files(&place).append("last").unwrap();
    let mut names: Vec<_> =
        fs::read_dir(&place).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["audit.log", "audit.log.1", "audit.log.2"]);
    for name in names {
        let meta = fs::metadata(place.join(name)).unwrap();
        assert!(meta.len() <= 100 && meta.mode() & 0o777 == 0o600);
    }
    assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o700);
    assert!(read(&place).ends_with("99\nlast\n"));
}

#[test]
fn a_file_that_was_moved_away_or_removed_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    let mut files = files(place);
    files.append("first").unwrap();
    fs::rename(place.join("audit.log"), place.join("elsewhere")).unwrap();
    files.append("second").unwrap();
    assert_eq!(read(place), "second\n");
    fs::remove_file(place.join("audit.log")).unwrap();
    files.append("third").unwrap();
    assert_eq!(read(place), "third\n");
}

#[test]
fn half_a_line_that_a_cut_write_left_is_no_part_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    for (left, kept) in [("whole\nhal", "whole\n"), ("hal", ""), ("", ""), ("a\nb\n", "a\nb\n")] {
        fs::write(dir.path().join("audit.log"), left).unwrap();
        files(dir.path()).append("next").unwrap();
        assert_eq!(read(dir.path()), format!("{kept}next\n"));
    }
}

#[test]
fn a_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    std::os::unix::fs::symlink(&target, dir.path().join("audit.log")).unwrap();
    files(dir.path()).append("line").unwrap_err();
    assert!(!target.exists());
}
