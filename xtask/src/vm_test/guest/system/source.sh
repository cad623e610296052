# The pages for who installs without a package, in a clone of the repository. Sourced by `run.sh`.

from_source() {
    cd /test/clone || return
    check "the page installs the agent" install_agent
    check "the page installs the service" page install-1
    check "the installed service is up" installed_is_up
    check "the page's first capture, by alice" page_capture
    check "the page upgrades the agent" page upgrade-1
    check "the page removes everything" removed
}

install_agent() {
    install -m 755 target/dist/capture-agent /usr/local/bin/
    [ "$(command -v capture-agent)" = /usr/local/bin/capture-agent ]
}

installed_is_up() {
    is_up
    exposure
    capture-agent doctor
}

page_capture() {
    as alice "$(cat /test/pages/install-capture-1)"
    [ "$(packets /home/alice/web.pcapng)" -gt 0 ]
}

removed() {
    page uninstall-1
    nothing_left
}
