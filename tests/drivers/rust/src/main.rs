//! tokio-postgres with OpenSSL: Debian's cargo with its crates in /usr/share/cargo/registry (../build-compiled has the command line).
//! Channel binding is used when the server offers it, which is the driver's default. Direct TLS exists in newer versions.

mod tls;

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use serde_json::{json, Value};
use std::{error::Error, io::stdin, time::Duration};
use tokio_postgres::config::{ChannelBinding, Config, SslMode};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let detail = openssl::version::version();
    println!("{}", json!({"driver": "tokio-postgres", "version": option_env!("DRIVER_VERSION"), "detail": detail}));
    for line in stdin().lines() {
        let wanted: Value = serde_json::from_str(&line?)?;
        println!("{}", report(&wanted).await);
    }
    Ok(())
}

async fn report(wanted: &Value) -> Value {
    let result = match tokio::time::timeout(Duration::from_secs(60), answer(wanted)).await {
        Ok(Ok(answer)) if answer == format!("{}:42", text(wanted, "user")) => Ok(()),
        Ok(Ok(answer)) => Err(format!("unexpected answer: {answer}").into()),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err("timeout".into()),
    };
    let failure = result.err();
    let sqlstate = failure.as_ref().and_then(|f| f.downcast_ref::<tokio_postgres::Error>()?.code()).map(|state| state.code());
    json!({"id": wanted["id"], "ok": failure.is_none(), "sqlstate": sqlstate, "error": failure.map(|f| f.to_string())})
}

async fn answer(wanted: &Value) -> Result<String, Failure> {
    let (client, connection) = config(wanted)?.connect(connector(wanted)?).await?;
    let connection = tokio::spawn(connection);
    let answer = client.query_one("SELECT current_user || ':' || $1", &[&"42"]).await.map(|row| row.get(0));
    drop(client); // makes the connection say goodbye
    let _ = connection.await; // the server may have hung up before it
    Ok(answer?)
}

fn config(wanted: &Value) -> Result<Config, Failure> {
    // As a string: the versions that have no such setting have no such function either.
    let mut config: Config = match wanted["sslnegotiation"].as_str() {
        Some("direct") => "sslnegotiation=direct".parse().map_err(|_| "not supported by the driver")?,
        _ => Config::new(),
    };
    config
        .host(text(wanted, "host"))
        .port(wanted["port"].as_u64().ok_or("no port")?.try_into()?)
        .user(text(wanted, "user"))
        .dbname(text(wanted, "dbname"))
        .ssl_mode(match text(wanted, "sslmode") {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            _ => SslMode::Require,
        });
    if let Some(password) = wanted["password"].as_str() {
        config.password(password);
    }
    match wanted["channel_binding"].as_str() {
        Some("disable") => config.channel_binding(ChannelBinding::Disable),
        Some("prefer") => config.channel_binding(ChannelBinding::Prefer),
        Some("require") => config.channel_binding(ChannelBinding::Require),
        _ => &mut config,
    };
    Ok(config)
}

fn connector(wanted: &Value) -> Result<tls::Connector, Failure> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    let verify_name = text(wanted, "sslmode") == "verify-full";
    match (text(wanted, "sslmode"), wanted["sslrootcert"].as_str()) {
        ("verify-ca" | "verify-full", Some(roots)) => builder.set_ca_file(roots)?,
        ("disable", _) | ("prefer" | "require", None) => builder.set_verify(SslVerifyMode::NONE),
        _ => return Err("not supported by the driver".into()),
    }
    if let (Some(cert), Some(key)) = (wanted["sslcert"].as_str(), wanted["sslkey"].as_str()) {
        builder.set_certificate_chain_file(cert)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
    }
    if wanted["sslnegotiation"] == "direct" {
        builder.set_alpn_protos(b"\x0apostgresql")?;
    }
    Ok(tls::Connector { ssl: builder.build(), verify_name })
}

fn text<'a>(wanted: &'a Value, field: &str) -> &'a str {
    wanted[field].as_str().unwrap_or_default()
}
