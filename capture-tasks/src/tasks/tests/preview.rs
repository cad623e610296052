//! What is said of a task before it is created.

use super::*;

#[test]
fn a_preview_says_what_the_task_would_be() {
    let setup = Setup::new("max_running = 2\ndisk_budget = \"2GiB\"\nmax_duration = \"1h\"");
    block_on(async {
        let tasks = setup.tasks();
        let request =
            spec(json!({"ip": "127.0.0.1", "ports": [443, "440-442"], "protocol": "tcp"}));
        let preview = preview(&tasks, request, None).await.expect("valid");
        let told = serde_json::to_value(&preview).expect("JSON");
        assert_eq!(
            told["spec"],
            json!({
                "name": "a test", "interfaces": ["lo"], "direction": "both", "hook": "auto",
                "protocol": "tcp", "address_type": "ip", "ip": "127.0.0.1", "ports": ["440-443"],
                "max_bytes": 0, "oversize": "truncate", "duration": 60, "max_file_bytes": 1 << 30,
                "format": "pcapng",
            })
        );
        assert_eq!(
            told["summary"],
            "TCP packets from or to ports 440-443 of 127.0.0.1"
        );
        assert!(
            preview
                .expression
                .starts_with("tcp and ((src host 127.0.0.1")
        );
        assert_eq!(
            preview.cli,
            "capture-agent task create --name 'a test' --interface lo --protocol tcp --ip 127.0.0.1 --port 440-443"
        );
        let [hook] = preview.hooks.as_slice() else {
            panic!("{:?}", preview.hooks);
        };
        assert_eq!((hook.interface.as_str(), hook.hook.as_str()), ("lo", "tc"));
        assert!(hook.mode.ends_with(" ingress"), "{hook:?}");
        assert_eq!(hook.conflict, None);
        assert_eq!(
            (preview.worst_case_bytes, preview.budget),
            (1 << 30, 2 << 30)
        );
        assert_eq!(
            (preview.budget_left, preview.budget_left_after),
            (2 << 30, 1 << 30)
        );
        assert!(preview.disk_free > 0);
        assert_eq!((preview.running, preview.max_running), (0, 2));
        assert_eq!(preview.starts, "now");
        // The clock of the test stands.
        assert_eq!(preview.ends_at.as_deref(), Some("2026-03-01T12:01:00.000Z"));
        assert_eq!((preview.quota.used, preview.quota.left_after), (0, None));
        end(tasks).await;
    });
}

#[test]
fn a_preview_says_when_it_starts_and_what_is_in_its_way() {
    let setup = Setup::new("disk_budget = \"1GiB\"");
    block_on(async {
        let tasks = setup.tasks();
        let later = tomorrow(&setup);
        let told = preview(&tasks, spec(json!({"duration": "1m"})), later).await;
        let told = told.expect("valid");
        assert_eq!(told.starts, "2026-03-02T12:00:00.000Z");
        assert_eq!(told.ends_at.as_deref(), Some("2026-03-02T12:01:00.000Z"));
        assert!(
            told.cli.contains(" --start-at 2026-03-02T12:00:00Z"),
            "{}",
            told.cli
        );
        assert_eq!(told.hooks, []);
        let large = spec(json!({"max_file_bytes": "2GiB"}));
        let told = preview(&tasks, large.clone(), None).await;
        // As a creation, of which nothing is left either.
        let created = tasks.create(large, &Actor::daemon(), None, None).await;
        let (Err(CreateError::Refused(told)), Err(CreateError::Refused(created))) = (told, created)
        else {
            panic!("it is granted");
        };
        assert_eq!(format!("{told:?}"), format!("{created:?}"));
        end(tasks).await;
    });
}
