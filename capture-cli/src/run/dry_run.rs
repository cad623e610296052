//! `run --dry-run`: what the capture would be, and what would keep it from starting, without one. It fails as the
//! capture would, as far as that can be known.

use capture_engine::planned_hooks;
use capture_file::{Target, check_writable, worst_case};
use capture_task::{
    bytes_text,
    preview::{PlannedHook, Warning},
    preview_lines::{Line, capture_lines, ends_text, text},
    task::{TaskSpec, rfc3339},
};
use capture_tasks::{disk_warning, packet_warnings};
use jiff::{SignedDuration, Timestamp};
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use super::explanation::directory;
use crate::{
    args::OutputForm,
    error::{Error, Result, engine_sentence},
    exit::Exit,
    listing::json_line,
    print,
    request::RunOptions,
    task_request::TaskRequest,
};

/// What a task would be and do. Fields have the names and the meanings of the daemon's preview.
#[derive(Serialize)]
struct RunPreview {
    valid: bool,
    spec: TaskSpec,
    summary: String,
    expression: String,
    expression_caveats: Vec<String>,
    hooks: Vec<PlannedHook>,
    /// `-` is standard output.
    file: String,
    /// Null where no limit says so.
    worst_case_bytes: Option<u64>,
    /// Null where the packets go to no file.
    disk_free: Option<u64>,
    ring_size: u64,
    starts: &'static str,
    ends_at: Option<String>,
    warnings: Vec<Warning>,
}

/// Several of them.
#[derive(Serialize)]
struct Previews {
    tasks: Vec<RunPreview>,
}

/// Says what the tasks would be.
///
/// # Errors
/// What would keep the capture from starting.
pub(super) fn preview(
    tasks: &[TaskRequest],
    targets: &[Target],
    options: &RunOptions,
    now: Timestamp,
) -> Result<Exit> {
    let pairs = tasks.iter().zip(targets);
    let previews: Vec<_> = pairs
        .map(|(task, target)| of_task(task, target, options, now))
        .collect::<Result<_>>()?;
    match options.form {
        OutputForm::Table => {
            let blocks: Vec<_> = previews
                .iter()
                .map(|preview| text(&lines(preview)))
                .collect();
            print(format!("valid\n{}", blocks.join("\n")).as_bytes())?;
        }
        OutputForm::Json if options.from_file => print(&json_line(&Previews { tasks: previews })?)?,
        OutputForm::Json => {
            for preview in &previews {
                print(&json_line(preview)?)?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn of_task(
    task: &TaskRequest,
    target: &Target,
    options: &RunOptions,
    now: Timestamp,
) -> Result<RunPreview> {
    let plan = &task.plan;
    let mut hooks = Vec::new();
    for planned in planned_hooks(None, plan)? {
        if let Some(conflict) = planned.conflict {
            return Err(Error::new(conflict.kind(), engine_sentence(&conflict)));
        }
        hooks.push(PlannedHook {
            interface: planned.interface,
            hook: planned.hook.to_owned(),
            mode: planned.mode,
            conflict: None,
        });
    }
    if let Target::File(path) = target {
        check_writable(path).map_err(Error::runtime)?;
    }
    let worst_case_bytes = worst_case(plan);
    let disk_free = directory(target).and_then(|directory| {
        let disk = statvfs(&directory).ok()?;
        Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
    });
    let mut warnings = packet_warnings(plan, &hooks);
    let room = worst_case_bytes.zip(disk_free);
    warnings.extend(room.and_then(|(needed, free)| disk_warning(needed, free)));
    let ends_at = plan.duration.and_then(|duration| {
        let duration = SignedDuration::try_from(duration).ok()?;
        now.checked_add(duration).ok()
    });
    Ok(RunPreview {
        valid: true,
        spec: TaskSpec::from(plan),
        summary: plan.filter.summary(),
        expression: plan.filter.to_string(),
        expression_caveats: plan.filter.caveats().into_iter().map(Into::into).collect(),
        hooks,
        file: match target {
            Target::File(path) => path.display().to_string(),
            Target::Stdout => "-".to_owned(),
            Target::Open(open) => open.name().display().to_string(),
        },
        worst_case_bytes,
        disk_free,
        ring_size: options.ring_size,
        starts: "now",
        ends_at: ends_at.map(rfc3339),
        warnings,
    })
}

fn lines(preview: &RunPreview) -> Vec<Line> {
    let RunPreview {
        valid: _,
        spec,
        summary,
        expression,
        expression_caveats,
        hooks,
        file,
        worst_case_bytes,
        disk_free,
        ring_size,
        starts,
        ends_at,
        warnings,
    } = preview;
    let mut lines = capture_lines(
        spec,
        summary.clone(),
        expression.clone(),
        expression_caveats.clone(),
        hooks,
    );
    let file = match file.as_str() {
        "-" => "standard output".to_owned(),
        path => path.to_owned(),
    };
    lines.push(("file", file));
    lines.push(("starts", (*starts).to_owned()));
    lines.push(("ends", ends_text(spec, ends_at.as_deref(), "on Ctrl-C")));
    let most = match worst_case_bytes {
        Some(bytes) => format!("{} at most", bytes_text(*bytes)),
        None => "no limit".to_owned(),
    };
    let size = match disk_free {
        Some(free) => format!("{most}; {} are free on the disk", bytes_text(*free)),
        None => most,
    };
    lines.push(("size", size));
    lines.push(("rings", bytes_text(*ring_size)));
    let warnings = warnings.iter();
    lines.extend(warnings.map(|warning| ("warning", warning.detail.clone())));
    lines
}
