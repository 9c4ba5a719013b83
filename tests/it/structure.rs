//! The walls of the house, read off the source: who may name what, and where time may not come from.
//!
//! Each file is cut into code and string literals; of the code every path is taken, `use` trees unfolded and `super`
//! and `self` resolved, so that `use crate::{http::x, db}` and an inline `axum::Json` are seen alike.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What no file in some place may name.
struct Wall {
    name: &'static str,
    inside: fn(&str) -> bool,
    forbidden: &'static [&'static str],
}

/// A path that is let through a wall all the same, and why.
struct Door {
    file: &'static str,
    path: &'static str,
    reason: &'static str,
}

fn feature_part(file: &str) -> Option<&str> {
    let (_, part) = file.strip_prefix("features/")?.split_once('/')?;
    Some(part)
}

fn is_part(file: &str, name: &str) -> bool {
    feature_part(file).is_some_and(|part| {
        part.strip_prefix(name)
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

/// The rules of a feature: `service.rs`, its folder, and the modules beside them.
fn is_rules(file: &str) -> bool {
    feature_part(file).is_some()
        && !["graphql", "model", "loaders"]
            .iter()
            .any(|name| is_part(file, name))
}

const WALLS: &[Wall] = &[
    Wall {
        name: "a feature knows nothing of HTTP",
        inside: |file| file.starts_with("features/"),
        forbidden: &[
            "http",
            "axum",
            "hyper",
            "tower",
            "tower_http",
            "crate::http",
        ],
    },
    Wall {
        name: "a feature's graphql knows nothing of SQL",
        inside: |file| is_part(file, "graphql"),
        forbidden: &[
            "diesel",
            "diesel_async",
            "tokio_postgres",
            "crate::db::schema",
        ],
    },
    Wall {
        name: "rules know nothing of GraphQL",
        inside: is_rules,
        forbidden: &["async_graphql", "async_graphql_value", "crate::graphql"],
    },
    Wall {
        name: "rules leave SQL to models",
        inside: is_rules,
        forbidden: &[
            "diesel::prelude",
            "diesel::dsl",
            "diesel::sql_query",
            "diesel::sql_types",
            "diesel::insert_into",
            "diesel::update",
            "diesel::delete",
            "diesel_async::RunQueryDsl",
            "diesel_async::SimpleAsyncConnection",
            "tokio_postgres",
            "crate::db::schema",
        ],
    },
    Wall {
        name: "models and loaders know neither GraphQL nor rules",
        inside: |file| is_part(file, "model") || is_part(file, "loaders"),
        forbidden: &[
            "async_graphql",
            "async_graphql_value",
            "crate::graphql",
            "*::service",
        ],
    },
    Wall {
        name: "graphql/ knows nothing of SQL",
        inside: |file| file.starts_with("graphql/"),
        forbidden: &[
            "diesel",
            "diesel_async",
            "tokio_postgres",
            "crate::db::schema",
            "crate::http",
            "axum",
        ],
    },
    Wall {
        name: "http/ knows nothing of SQL",
        inside: |file| file.starts_with("http/"),
        forbidden: &[
            "diesel",
            "diesel_async",
            "tokio_postgres",
            "crate::db::schema",
            "*::model",
        ],
    },
    Wall {
        name: "integrations know the settings alone",
        inside: |file| file.starts_with("integrations/"),
        forbidden: &[
            "axum",
            "async_graphql",
            "diesel",
            "diesel_async",
            "crate::app",
            "crate::auth",
            "crate::clock",
            "crate::cursor",
            "crate::db",
            "crate::entropy",
            "crate::error",
            "crate::features",
            "crate::graphql",
            "crate::http",
            "crate::jobs",
            "crate::mac",
            "crate::money",
            "crate::patch",
            "crate::text",
        ],
    },
    Wall {
        name: "settings stand alone",
        inside: |file| file == "config.rs" || file.starts_with("config/"),
        forbidden: &[
            "axum",
            "async_graphql",
            "diesel",
            "crate::app",
            "crate::auth",
            "crate::clock",
            "crate::db",
            "crate::entropy",
            "crate::error",
            "crate::features",
            "crate::graphql",
            "crate::http",
            "crate::integrations",
            "crate::jobs",
            "crate::money",
            "crate::text",
        ],
    },
    Wall {
        name: "the database knows nothing above it",
        inside: |file| file.starts_with("db/"),
        forbidden: &[
            "axum",
            "async_graphql",
            "http",
            "crate::app",
            "crate::auth",
            "crate::features",
            "crate::graphql",
            "crate::http",
            "crate::integrations",
            "crate::jobs",
        ],
    },
    Wall {
        name: "auth knows no GraphQL and no HTTP",
        inside: |file| file.starts_with("auth/"),
        forbidden: &[
            "axum",
            "http",
            "async_graphql",
            "crate::features",
            "crate::graphql",
            "crate::http",
            "crate::jobs",
        ],
    },
    Wall {
        name: "jobs know no GraphQL and no HTTP",
        inside: |file| file.starts_with("jobs/"),
        forbidden: &[
            "axum",
            "http",
            "async_graphql",
            "crate::graphql",
            "crate::http",
        ],
    },
    Wall {
        name: "the application and its errors know no edge",
        inside: |file| {
            [
                "app.rs",
                "error.rs",
                "cursor.rs",
                "clock.rs",
                "entropy.rs",
                "money.rs",
                "text.rs",
                "patch.rs",
            ]
            .contains(&file)
        },
        forbidden: &[
            "axum",
            "http",
            "async_graphql",
            "crate::graphql",
            "crate::http",
            "crate::features",
        ],
    },
];

const DOORS: &[Door] = &[
    Door {
        file: "features/availabilities/loaders.rs",
        path: "crate::features::availabilities::service",
        reason: "free slots are worked out by a rule from one statement, not read",
    },
    Door {
        file: "http/media.rs",
        path: "crate::features::media::model::Media",
        reason: "the row that the service hands over; http asks nothing of the model",
    },
    Door {
        file: "integrations/",
        path: "crate::mac",
        reason: "signatures of both gateways; knows nothing of ours itself",
    },
    Door {
        file: "integrations/payments/sandbox/",
        path: "crate::clock",
        reason: "the sandbox stands for a gateway, whose events carry the time",
    },
    Door {
        file: "integrations/payments/sandbox/page.rs",
        path: "crate::money",
        reason: "the pay page shows an amount as the API does",
    },
];

#[test]
fn no_wall_is_crossed() {
    let mut crossed = Vec::new();
    let mut used = BTreeSet::new();
    let mut seen = 0;
    for file in sources() {
        let (code, _) =
            split(&fs::read_to_string(Path::new(ROOT).join("src").join(&file)).unwrap());
        let paths = paths(&code, &module_of(&file));
        seen += paths.len();
        for wall in WALLS.iter().filter(|wall| (wall.inside)(&file)) {
            for path in paths.iter().filter(|path| wall.forbids(path)) {
                let door = DOORS
                    .iter()
                    .position(|door| file.starts_with(door.file) && within(path, door.path));
                match door {
                    Some(door) => _ = used.insert(door),
                    None => crossed.push(format!("src/{file} names {path}: {}", wall.name)),
                }
            }
        }
    }
    assert!(seen > 5_000, "the reader sees only {seen} paths");
    assert!(
        crossed.is_empty(),
        "walls are crossed:\n{}",
        crossed.join("\n")
    );
    for (index, door) in DOORS.iter().enumerate() {
        assert!(!door.reason.is_empty());
        assert!(
            used.contains(&index),
            "nobody uses this door: {} → {}",
            door.file,
            door.path
        );
    }
}

/// The reader itself: a test that sees nothing would pass.
#[test]
fn the_reader_sees_every_way_to_name_a_thing() {
    let source = r##"
        //! axum::Router in a comment
        use crate::{db::{self, schema::users}, http as web};
        use super::model::Row; // diesel::prelude
        #[diesel(table_name = users)]
        struct A { b: Option<::axum::Json<u8>>, c: &'static str }
        fn f() -> char { let _ = "tower::x"; let _ = r#"hyper::"y""#; async_graphql::Value::Null; '"' }
        /* http::b /* hyper::c */ */ const D: u8 = super::super::jobs::N;
    "##;
    let (code, strings) = split(source);
    let found = paths(&code, &module_of("features/users/service.rs"));
    for path in [
        "crate::db",
        "crate::db::schema::users",
        "crate::http",
        "crate::features::users::model::Row",
        "diesel",
        "axum::Json",
        "async_graphql::Value::Null",
        "crate::features::jobs::N",
    ] {
        assert!(
            found.iter().any(|found| found == path),
            "{path} in {found:?}"
        );
    }
    for path in ["tower", "hyper", "http", "diesel::prelude", "axum::Router"] {
        assert!(
            !found.iter().any(|found| within(found, path)),
            "{path} in {found:?}"
        );
    }
    assert_eq!(strings, ["tower::x", "hyper::\"y\""]);
    assert_eq!(
        module_of("features/users/graphql/mod.rs").join("::"),
        "crate::features::users::graphql"
    );
}

/// Times are bound from the injected clock: SQL neither asks for the time nor fills it in.
#[test]
fn no_sql_asks_for_the_time() {
    let mut found = Vec::new();
    let mut look = |file: &str, sql: &str| {
        for (number, line) in sql.lines().enumerate() {
            let line = line
                .split("--")
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            let asks = [
                "now()",
                "current_timestamp",
                "current_time",
                "current_date",
                "localtimestamp",
                "clock_timestamp",
                "statement_timestamp",
                "transaction_timestamp",
                "timeofday",
                "'now'",
                "'today'",
                "'tomorrow'",
                "'yesterday'",
                "gen_random_uuid",
                "random()",
                "uuid_generate",
            ];
            if let Some(word) = asks.iter().find(|word| line.contains(**word)) {
                found.push(format!("{file}:{}: {word}", number + 1));
            }
        }
    };
    let mut texts = 0;
    for file in walk(&Path::new(ROOT).join("migrations")) {
        look(
            &file.display().to_string(),
            &fs::read_to_string(&file).unwrap(),
        );
        texts += 1;
    }
    for file in walk(&Path::new(ROOT).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sql") => look(&file.display().to_string(), &text),
            Some("rs") => {
                let (code, strings) = split(&text);
                for string in strings {
                    look(&file.display().to_string(), &string);
                    texts += 1;
                }
                let path = file.strip_prefix(Path::new(ROOT).join("src")).unwrap();
                for path in paths(&code, &module_of(path.to_str().unwrap())) {
                    if path.ends_with("dsl::now") || path.ends_with("dsl::today") {
                        look(&file.display().to_string(), "now()");
                    }
                }
            }
            _ => {}
        }
    }
    assert!(texts > 1_000, "only {texts} texts were read");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

impl Wall {
    fn forbids(&self, path: &str) -> bool {
        self.forbidden
            .iter()
            .any(|forbidden| match forbidden.strip_prefix("*::") {
                Some(module) => {
                    path.starts_with("crate::") && path.split("::").any(|segment| segment == module)
                }
                None => within(path, forbidden),
            })
    }
}

fn within(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every source file below `src/` that is no test, as `features/users/model.rs`.
fn sources() -> Vec<String> {
    let src = Path::new(ROOT).join("src");
    let mut files: Vec<String> = walk(&src)
        .iter()
        .map(|path| {
            path.strip_prefix(&src)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .filter(|file| file.ends_with(".rs") && !file.ends_with("tests.rs"))
        .collect();
    files.sort();
    files
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = vec!["crate".to_owned()];
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    module.extend(
        stem.split('/')
            .filter(|part| !["mod", "lib", "main"].contains(part))
            .map(str::to_owned),
    );
    module
}

/// The code without comments and with its string literals taken out, and those literals.
fn split(source: &str) -> (String, Vec<String>) {
    let (mut code, mut strings) = (String::new(), Vec::new());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            let mut depth = 0;
            while !rest.is_empty() {
                let step = match &rest.as_bytes()[..rest.len().min(2)] {
                    b"/*" => {
                        depth += 1;
                        2
                    }
                    b"*/" => {
                        depth -= 1;
                        2
                    }
                    _ => rest.chars().next().map_or(1, char::len_utf8),
                };
                rest = &rest[step..];
                if depth == 0 {
                    break;
                }
            }
        } else if first == '"' {
            let mut string = String::new();
            let mut chars = rest[1..].char_indices();
            let mut end = rest.len();
            while let Some((at, char)) = chars.next() {
                match char {
                    '\\' => _ = chars.next(),
                    '"' => {
                        end = at + 2;
                        break;
                    }
                    other => string.push(other),
                }
            }
            rest = &rest[end..];
            strings.push(string);
            code.push('"');
        } else if let Some(hashes) = raw_string(rest, &code) {
            let start = 2 + hashes;
            let close = format!("\"{}", "#".repeat(hashes));
            let length = rest[start..].find(&close).unwrap_or(rest.len() - start);
            strings.push(rest[start..start + length].to_owned());
            rest = rest.get(start + length + close.len()..).unwrap_or_default();
            code.push('"');
        } else if first == '\'' {
            // A character, or else a lifetime.
            let mut chars = rest.char_indices().skip(1);
            let length = match chars.next() {
                Some((_, '\\')) => rest[3..].find('\'').map(|at| at + 4),
                Some(_) => chars
                    .next()
                    .filter(|(_, char)| *char == '\'')
                    .map(|(at, _)| at + 1),
                None => None,
            };
            rest = &rest[length.unwrap_or(1)..];
            code.push(' ');
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    (code, strings)
}

/// The number of `#` where a raw string begins.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    if before.ends_with(|char: char| char.is_alphanumeric() || char == '_') {
        return None;
    }
    let after = rest.strip_prefix('r')?;
    let hashes = after.chars().take_while(|char| *char == '#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// Every path that the code names, resolved from `module`; attributes with a crate's name count as that crate.
fn paths(code: &str, module: &[String]) -> Vec<String> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at += 1;
            use_tree(&tokens, &mut at, &mut Vec::new(), module, &mut found);
        } else if tokens[at] == "[" && tokens.get(at + 2) == Some(&"(") {
            found.push(tokens[at + 1].to_owned());
            at += 2;
        } else if is_name(tokens[at]) && tokens.get(at + 1) == Some(&"::") {
            let mut path = vec![tokens[at].to_owned()];
            at += 1;
            while tokens.get(at) == Some(&"::")
                && tokens.get(at + 1).is_some_and(|name| is_name(name))
            {
                path.push(tokens[at + 1].to_owned());
                at += 2;
            }
            found.push(resolved(&path, module));
            at = at.max(1);
        } else {
            at += 1;
        }
    }
    found
}

fn use_tree(
    tokens: &[&str],
    at: &mut usize,
    prefix: &mut Vec<String>,
    module: &[String],
    found: &mut Vec<String>,
) {
    let depth = prefix.len();
    while let Some(token) = tokens.get(*at) {
        match *token {
            "::" => {}
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| *token != "}") {
                    use_tree(tokens, at, prefix, module, found);
                    if tokens.get(*at) == Some(&",") {
                        *at += 1;
                    }
                }
                *at += 1;
                prefix.truncate(depth);
                return;
            }
            "," | "}" | ";" => break,
            "as" => *at += 1,
            "self" if !prefix.is_empty() => {}
            name => prefix.push(name.to_owned()),
        }
        *at += 1;
    }
    found.push(resolved(prefix, module));
    prefix.truncate(depth);
}

fn resolved(path: &[String], module: &[String]) -> String {
    let mut base: Vec<String> = Vec::new();
    for (index, segment) in path.iter().enumerate() {
        match segment.as_str() {
            "self" if index == 0 => base = module.to_vec(),
            "super" if index == 0 => base = module[..module.len() - 1].to_vec(),
            "super" => _ = base.pop(),
            _ => base.push(segment.clone()),
        }
    }
    base.join("::")
}

fn is_name(token: &str) -> bool {
    token.starts_with(|char: char| char.is_alphabetic() || char == '_')
}

fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|char: char| !char.is_alphanumeric() && char != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}
