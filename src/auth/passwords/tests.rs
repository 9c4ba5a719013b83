use super::*;

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

fn check(text: &str) -> Result<(), PasswordProblem> {
    password(text).check(Some("Ada.Lovelace@example.com"), Some("ada_lovelace"))
}

fn passwords() -> Passwords {
    Passwords::new(Entropy::system())
}

fn stored(params: Params, text: &str) -> PasswordHash {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(text.as_bytes(), b"sixteen byte salt");
    PasswordHash::from_stored(hash.unwrap().to_string())
}

/// Nothing that could print a password or its hash may come to be: this does not compile once one has `Debug`.
const _: () = {
    trait NotDebug<Marker> {
        fn check() {}
    }
    struct Debuggable;
    impl<T: ?Sized> NotDebug<()> for T {}
    impl<T: ?Sized + fmt::Debug> NotDebug<Debuggable> for T {}
    let _ = <Password as NotDebug<_>>::check;
    let _ = <PasswordHash as NotDebug<_>>::check;
};

#[test]
fn length_is_counted_in_characters_and_nothing_is_trimmed() {
    assert_eq!(check("kv7 qm2"), Err(PasswordProblem::TooShort));
    assert_eq!(check("kv7 qm2 "), Ok(()));
    assert_eq!(check("        "), Ok(()));
    assert_eq!(check("пароль7"), Err(PasswordProblem::TooShort));
    assert_eq!(check("пароль-7"), Ok(()));
    assert_eq!(check(&"я".repeat(256)), Ok(()));
    assert_eq!(check(&"я".repeat(257)), Err(PasswordProblem::TooLong));
    assert_eq!(check(""), Err(PasswordProblem::TooShort));
}

#[test]
fn the_commonest_are_refused_in_any_case() {
    assert!(COMMON.len() > 10_000, "{}", COMMON.len());
    for common in &*COMMON {
        assert!(common.chars().count() >= MIN_LENGTH, "{common:?}");
        assert_eq!(common.to_lowercase(), **common);
    }
    // One early and one late of either list, and what only one of them has.
    for text in [
        "password",
        "12345678",
        "Password1",
        "IloveYou",
        "baseball",
        "michelle",
        "zag12wsx",
        "qwertyuiop",
    ] {
        assert_eq!(check(text), Err(PasswordProblem::Common), "{text}");
    }
    assert_eq!(check(" password"), Ok(()));
}

#[test]
fn ones_own_names_are_refused() {
    for text in [
        "Ada.Lovelace@example.com",
        "ada.lovelace@EXAMPLE.com",
        "ada_lovelace",
        "ADA_LOVELACE",
    ] {
        assert_eq!(check(text), Err(PasswordProblem::OwnName), "{text}");
    }
    assert_eq!(password("ada_lovelace").check(None, None), Ok(()));
}

#[tokio::test]
async fn a_hash_is_argon2id_with_the_parameters_of_today_and_a_salt_of_its_own() {
    let passwords = passwords();
    let text = password("correct horse");
    let one = passwords.hash(&text).await.unwrap();
    let two = passwords.hash(&text).await.unwrap();
    assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_ne!(one.expose(), two.expose());
    assert!(!one.needs_rehash());
    let right = Verdict::Right {
        needs_rehash: false,
    };
    assert_eq!(passwords.verify(&text, Some(&one)).await.unwrap(), right);
    assert_eq!(passwords.verify(&text, Some(&two)).await.unwrap(), right);
    for wrong in ["correct horse ", "Correct horse", "correct  horse", ""] {
        let verdict = passwords.verify(&password(wrong), Some(&one)).await;
        assert_eq!(verdict.unwrap(), Verdict::Wrong, "{wrong:?}");
    }
}

#[tokio::test]
async fn salts_come_from_the_given_randomness() {
    let text = password("correct horse");
    let hash = async |seed| {
        let passwords = Passwords::new(Entropy::seeded(seed));
        passwords.hash(&text).await.unwrap().expose().to_owned()
    };
    assert_eq!(hash(1).await, hash(1).await);
    assert_ne!(hash(1).await, hash(2).await);
}

#[tokio::test]
async fn a_composed_and_a_decomposed_letter_are_two_passwords() {
    let hash = passwords().hash(&password("caf\u{e9} noir")).await.unwrap();
    let other = password("cafe\u{301} noir");
    let verdict = passwords().verify(&other, Some(&hash)).await.unwrap();
    assert_eq!(verdict, Verdict::Wrong);
}

#[tokio::test]
async fn a_hash_made_otherwise_still_opens_and_asks_to_be_renewed() {
    let text = password("correct horse");
    for params in [
        Params::new(12 * 1024, 2, 1, Some(32)),
        Params::new(19 * 1024, 3, 1, Some(32)),
        Params::new(19 * 1024, 2, 2, Some(32)),
        Params::new(19 * 1024, 2, 1, Some(16)),
    ] {
        let old = stored(params.unwrap(), "correct horse");
        assert!(old.needs_rehash(), "{}", old.expose());
        let verdict = passwords().verify(&text, Some(&old)).await.unwrap();
        assert_eq!(verdict, Verdict::Right { needs_rehash: true });
    }
    assert!(!stored(PARAMS, "correct horse").needs_rehash());
    assert!(PasswordHash::from_stored("no hash".to_owned()).needs_rehash());
}

/// The work that an unknown account costs is that of a known one: the same parameters, salt and length.
#[tokio::test]
async fn nobody_has_a_password_and_trying_one_costs_the_same() {
    let nobody = PasswordHash::from_stored(NOBODY.to_owned());
    assert!(!nobody.needs_rehash());
    let hash = passwords().hash(&password("correct horse")).await.unwrap();
    assert_eq!(hash.expose().len(), NOBODY.len());
    let hidden = passwords().verify(&password("correct horse"), None).await;
    assert_eq!(hidden.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn what_is_no_hash_is_our_fault_and_no_wrong_password() {
    for text in [
        "",
        "no hash",
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let stored = PasswordHash::from_stored(text.to_owned());
        let error = passwords()
            .verify(&password("correct horse"), Some(&stored))
            .await;
        assert!(
            matches!(error, Err(Error::Internal(_))),
            "{text:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn who_would_wait_long_is_told_to_come_back() {
    let wait = Duration::from_millis(20);
    let passwords = Passwords::bounded(Entropy::system(), 1, 1, wait);
    let text = password("correct horse");
    let unavailable = |outcome: Result<Verdict>| match outcome {
        Err(Error::Unavailable { retry_after, .. }) => assert_eq!(retry_after, Some(wait)),
        other => panic!("{other:?}"),
    };
    // Somebody has the core: the next one waits, and not for ever.
    let turn = Arc::clone(&passwords.cores).acquire_owned().await.unwrap();
    unavailable(passwords.verify(&text, None).await);
    // Both places are taken: the next one does not even wait.
    let places = passwords.places.try_acquire_many(2).unwrap();
    unavailable(passwords.verify(&text, None).await);
    drop((turn, places));
    assert_eq!(passwords.verify(&text, None).await.unwrap(), Verdict::Wrong);
    assert_eq!(passwords.cores.available_permits(), 1);
    assert_eq!(passwords.places.available_permits(), 2);
}
