//! Tasks that run: their files while they grow and when they are whole, their figures, their end.

mod privileged {
    use std::net::UdpSocket;

    use capture_tests::rights;
    use serde_json::json;
    use sha2::{Digest as _, Sha256};

    use super::super::*;

    /// A task that takes what is sent to a socket of ours on loopback.
    struct Capture {
        path: String,
        from: UdpSocket,
        to: UdpSocket,
    }

    impl Capture {
        async fn start(lab: &Lab, format: &str) -> Self {
            let [from, to] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
            let port = to.local_addr().expect("an address").port();
            let task = json!({
                "name": "näme/../x", "interfaces": ["lo"], "ports": [port], "duration": 60, "format": format,
                "max_file_bytes": "1MiB",
            });
            let made = lab.post("/api/v1/tasks", "", &task.to_string()).await;
            assert_eq!(made.status, 201, "{made:?}");
            let path = format!("/api/v1/{}", made.header("location").expect("Location"));
            let this = Self { path, from, to };
            this.wait(lab, |task| task["state"] == "running").await;
            this
        }

        /// Sends packets, and waits until they are in the file.
        async fn send(&self, lab: &Lab, count: u64) -> Value {
            let before = lab.get(&self.path).await.json()["files"][0]["packets"].as_u64();
            let to = self.to.local_addr().expect("an address");
            for _ in 0..count {
                self.from.send_to(&[7; 100], to).expect("sent");
            }
            let wanted = before.unwrap_or_default() + count;
            self.wait(lab, |task| task["files"][0]["packets"] == wanted)
                .await
        }

        async fn wait(&self, lab: &Lab, is_so: impl Fn(&Value) -> bool) -> Value {
            let wait = async {
                loop {
                    let task = lab.get(&self.path).await.json();
                    if is_so(&task) {
                        break task;
                    }
                    assert_ne!(task["state"], "failed", "{task}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(LONG, wait).await.expect("it comes to that")
        }

        async fn file(&self, lab: &Lab, headers: &str) -> Reply {
            let call = format!("GET {}/files/0 HTTP/1.1\r\n{headers}\r\n", self.path);
            lab.ask(&call).await
        }
    }

    /// How many packets a program that shares no code with us reads from a whole file.
    fn packets(file: &[u8]) -> u64 {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("capture");
        fs::write(&path, file).expect("written");
        let said = Command::new("capinfos").arg("-Mcr").arg(path).output();
        let said = said.expect("capinfos starts");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            said.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&said.stderr)
        );
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("Number of packets:"));
        count.expect("a count").trim().parse().expect("a number")
    }

    #[tokio::test]
    async fn a_file_is_readable_while_it_grows() {
        rights::as_unit();
        let lab = Lab::new();
        for (format, kind) in [
            ("pcapng", "application/x-pcapng"),
            ("pcap", "application/vnd.tcpdump.pcap"),
        ] {
            let capture = Capture::start(&lab, format).await;
            capture.send(&lab, 20).await;
            let first = capture.file(&lab, "").await;
            assert_eq!((first.status, packets(&first.body)), (200, 20));
            assert_eq!(first.header("content-type"), Some(kind));
            assert_eq!(
                first.header("content-length"),
                Some(first.body.len().to_string().as_str())
            );
            let name = first.header("content-disposition").expect("a name");
            assert!(
                name.starts_with("attachment; filename=\"n_me-..-x_20")
                    && name.ends_with(&format!(".partial.{format}"))
                    && name.contains("; filename*=UTF-8''n%C3%A4me-..-x_20"),
                "{name}"
            );

            capture.send(&lab, 5).await;
            let rest = capture
                .file(&lab, &format!("range: bytes={}-\r\n", first.body.len()))
                .await;
            assert_eq!(rest.status, 206);
            let both = [first.body.as_slice(), &rest.body].concat();
            assert_eq!(packets(&both), 25);
            // Nothing more has come.
            let more = format!("range: bytes={}-\r\n", both.len());
            assert_eq!(capture.file(&lab, &more).await.problem(416), "range");
            // What was there is another version by now.
            let old = format!(
                "if-range: {}\r\n{more}",
                first.header("etag").expect("a tag")
            );
            assert_eq!(capture.file(&lab, &old).await.status, 200);

            let delete = format!("DELETE {} HTTP/1.1\r\n\r\n", capture.path);
            assert_eq!(lab.ask(&delete).await.problem(409), "unfinished");
            let stopped = lab.post(&format!("{}/stop", capture.path), "", "").await;
            assert_eq!(stopped.status, 202);
            let ended = capture
                .wait(&lab, |task| task["state"] == "completed")
                .await;
            assert_eq!(
                (&ended["verdict"], &ended["counters"]["captured"]),
                (&json!("complete"), &json!(25))
            );
            let whole = capture.file(&lab, "").await;
            assert!(whole.body.starts_with(&both));
            let sha256: String = Sha256::digest(&whole.body)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(ended["files"][0]["sha256"], sha256.as_str());
            let etag = format!("\"{sha256}\"");
            assert_eq!(whole.header("etag"), Some(etag.as_str()));
            let known = capture
                .file(&lab, &format!("if-none-match: {etag}\r\n"))
                .await;
            assert_eq!((known.status, known.body.len()), (304, 0));
            assert_eq!(
                capture.file(&lab, "range: bytes=-4\r\n").await.body,
                whole.body[whole.body.len() - 4..]
            );
            let head = format!("HEAD {}/files/0 HTTP/1.1\r\n\r\n", capture.path);
            assert_eq!(lab.ask(&head).await.status, 200);
            // It has ended.
            let again = lab.post(&format!("{}/stop", capture.path), "", "").await;
            assert_eq!(again.status, 202);
            assert_eq!(lab.ask(&delete).await.status, 204);
            assert_eq!(capture.file(&lab, "").await.problem(404), "not_found");
        }
        let acts = lab.end_with_acts().await;
        // What gave no bytes, and what changed nothing, is not there; the further parts of a file are counted.
        let of_one = [
            ("task.create", "done"),
            ("file.download", "done"),
            ("task.delete", "refused: not ended"),
            ("task.stop", "done"),
            ("task.delete", "done"),
            ("file.download", "refused: not found"),
        ];
        let more = ("file.download", "done: 4 more times");
        let expected = [&of_one[..], &of_one, &[more, more]].concat();
        let acts: Vec<_> = acts.iter().map(|(act, what)| (&**act, &**what)).collect();
        assert_eq!(acts, expected);
    }

    #[tokio::test]
    async fn figures_are_those_of_the_kernel() {
        rights::as_unit();
        let lab = Lab::new();
        let capture = Capture::start(&lab, "pcapng").await;
        capture.send(&lab, 30).await;
        let metrics = async || {
            let reply = lab.get("/metrics").await;
            String::from_utf8(reply.body).expect("text")
        };
        let figure = |text: &str, name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
                .trim()
                .parse()
                .expect("a number")
        };
        let lo = |name: &str, outcome: &str| {
            format!(
                "capture_agent_{name}{{interface=\"lo\",direction=\"ingress\",outcome=\"{outcome}\"}}"
            )
        };
        let seen = |text: &str| {
            figure(
                text,
                "capture_agent_seen_packets_total{interface=\"lo\",direction=\"ingress\"}",
            )
        };
        let during = metrics().await;
        assert_eq!(figure(&during, &lo("packets_total", "captured")), 30.0);
        // Ethernet, IPv4 and UDP headers, and the payload.
        assert_eq!(
            figure(&during, &lo("bytes_total", "captured")),
            30.0 * 142.0
        );
        assert!(seen(&during) >= 30.0);
        assert_eq!(
            figure(&during, "capture_agent_tasks{state=\"running\"}"),
            1.0
        );
        assert!(figure(&during, "capture_agent_storage_bytes") > 0.0);
        let ratio = figure(&during, "capture_agent_ring_used_ratio");
        assert!((0.0..=1.0).contains(&ratio));

        // A counter does not forget when the task is gone.
        let force = format!("DELETE {}?force=true HTTP/1.1\r\n\r\n", capture.path);
        assert_eq!(lab.ask(&force).await.status, 204);
        let after = metrics().await;
        assert_eq!(figure(&after, &lo("packets_total", "captured")), 30.0);
        assert!(seen(&after) >= seen(&during));
        assert_eq!(
            figure(&after, "capture_agent_tasks{state=\"running\"}"),
            0.0
        );
        assert!(!after.contains("127.0.0.1") && !after.contains("näme"));
        lab.end().await;
    }
}
