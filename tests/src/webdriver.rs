//! A real browser, driven over the WebDriver protocol.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Client;

/// What names an element in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long a command may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often chromedriver is started. It takes a port that is free for IPv6 and
/// ends if somebody else has the same one for IPv4.
const TRIES: usize = 5;

/// A headless Chromium with a profile of its own, ended when dropped.
#[derive(Debug)]
pub struct Chromium {
    driver: Child,
    reader: Option<JoinHandle<()>>,
    address: SocketAddr,
    client: Client,
    session: String,
    _profile: TempDir,
}

/// Starts chromedriver. Returns it with its output and its port, or nothing if it has ended.
fn start_driver() -> Option<(Child, BufReader<ChildStdout>, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // The browser is in the driver's group, and ends with it.
        .process_group(0)
        .spawn()
        .expect("chromedriver is installed");
    let mut stdout = BufReader::new(driver.stdout.take().expect("a pipe"));
    let port = (&mut stdout).lines().map_while(Result::ok).find_map(|line| {
        let rest = line.split_once("started successfully on port ")?.1;
        rest.trim_end_matches('.').parse::<u16>().ok()
    });
    if port.is_none() {
        driver.wait().expect("chromedriver ends");
    }
    Some((driver, stdout, port?))
}

impl Chromium {
    /// Starts chromedriver on a free port, and a browser by it. Hosts are looked
    /// up by `rules`, as in `MAP a.test 127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If `chromium` or `chromium-driver` is not installed.
    pub async fn start(rules: &str) -> Self {
        let (driver, mut stdout, port) =
            (0..TRIES).find_map(|_| start_driver()).expect("chromedriver says where it listens");
        let reader = std::thread::spawn(move || drop(stdout.read_to_end(&mut Vec::new())));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let profile = TempDir::new().expect("a directory");
        let mut this = Self {
            driver,
            reader: Some(reader),
            address,
            client: Client::default(),
            session: String::new(),
            _profile: profile,
        };
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--ignore-certificate-errors".to_owned(),
            format!("--host-resolver-rules={rules}"),
            format!("--user-data-dir={}", this._profile.path().display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        } } });
        let mut made = this.ask(Method::POST, "/session", &wanted).await;
        for _ in 1..TRIES {
            // A browser does not always come up where there is little memory or time.
            if made.is_ok() {
                break;
            }
            made = this.ask(Method::POST, "/session", &wanted).await;
        }
        let made = made.expect("a browser starts");
        this.session = made["sessionId"].as_str().expect("a session").to_owned();
        this
    }

    /// Sends a command and returns its value, or what is wrong.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Value> {
        let body = if method == Method::POST { body.to_string() } else { String::new() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(Bytes::from(body))
            .expect("a request");
        let reply = tokio::time::timeout(PATIENCE, self.client.send(self.address, request)).await;
        let reply = reply.expect("an answer in time").expect("chromedriver answers");
        let value = reply.json()["value"].clone();
        if reply.status.is_success() { Ok(value) } else { Err(value) }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        self.ask(method, path, body).await.unwrap_or_else(|err| panic!("{path}: {err}"))
    }

    async fn command(&self, method: Method, path: &str, body: Value) -> Value {
        self.call(method, &self.path(path), &body).await
    }

    fn path(&self, path: &str) -> String {
        format!("/session/{}{path}", self.session)
    }

    /// Goes to an address and waits until the page is there.
    pub async fn go(&self, url: &str) {
        self.command(Method::POST, "/url", json!({ "url": url })).await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.command(Method::POST, "/refresh", json!({})).await;
    }

    /// Runs a script in the page and returns what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.command(Method::POST, "/execute/sync", json!({ "script": script, "args": [] })).await
    }

    async fn element(&self, selector: &str) -> String {
        let found = json!({ "using": "css selector", "value": selector });
        let found = self.command(Method::POST, "/element", found).await;
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Returns the text of an element.
    pub async fn text(&self, selector: &str) -> String {
        let element = self.element(selector).await;
        let text = self.command(Method::GET, &format!("/element/{element}/text"), json!({})).await;
        text.as_str().expect("text").to_owned()
    }

    /// Types into an element.
    pub async fn enter(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        let path = format!("/element/{element}/value");
        self.command(Method::POST, &path, json!({ "text": text })).await;
    }

    /// Clicks an element, and waits for the page that it leads to.
    ///
    /// # Panics
    ///
    /// If no other page comes.
    pub async fn click(&self, selector: &str) {
        self.run("document.left = true").await;
        let element = self.element(selector).await;
        self.command(Method::POST, &format!("/element/{element}/click"), json!({})).await;
        // The driver may answer before the browser has left the page.
        let script = "return !document.left && document.readyState === 'complete'";
        let (path, body) = (self.path("/execute/sync"), json!({ "script": script, "args": [] }));
        let arrived = async {
            // While one page makes room for the next, a script may find neither.
            while self.ask(Method::POST, &path, &body).await != Ok(Value::Bool(true)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.expect("another page");
    }

    /// Returns the cookies that the browser would send to the page.
    pub async fn cookies(&self) -> Vec<Value> {
        let cookies = self.command(Method::GET, "/cookie", json!({})).await;
        cookies.as_array().expect("a list").clone()
    }

    /// Sends a command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command(Method::POST, "/goog/cdp/execute", body).await
    }

    /// Ends the browser in good order. The driver ends with this value.
    pub async fn quit(&self) {
        self.command(Method::DELETE, "", json!({})).await;
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        drop(self.driver.wait());
        drop(self.reader.take().map(JoinHandle::join));
    }
}
