//! What the program promises, told as sentences: real processes, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support; // the language of the tests: the program, a client, the servers, processes

mod attach; // clients on stdio that join the daemon that runs
mod bad_input; // what is told about each mistake, and that the other entries are unharmed
#[cfg(feature = "sdk")]
mod bridge; // pages that talk to an agent over a socket
#[cfg(feature = "sdk")]
mod bridge_access; // who is let in over the bridge, and how it is started
#[cfg(feature = "sdk")]
mod bridge_clients; // a real browser, `ws` and `sockjs-client` over the bridge
#[cfg(feature = "sdk")]
mod bridge_limits; // how much the bridge takes, and clients that poll
mod chaos; // everybody calls while everything dies, comes and goes
mod check_and_init; // `check` reports every mistake with its place; `init` writes what `check` accepts
mod chrome; // a Chrome that is launched, and all that can be wrong with one
mod circumstances; // who starts it, what it is given to read and to write, when it is told to go
mod cli_verbs; // the shapes and exit statuses that scripts depend on
mod config_file; // where it is found, what it may hold, what is refused
mod connect; // `connect` prints what a client can use
mod control; // control of the daemon that runs: its socket, HTTP, the verbs
mod crash; // a server that dies: its calls fail at once, it comes back, its tools stay
mod crowd; // many clients at once: their own answers, and nothing left of them
mod day; // a daemon as a service, for a day in short
mod dialects; // files of other programs, loaded as they are
mod doctor; // what this machine lacks is told with its cure, and nothing is changed by looking
mod embedders; // nothing is left behind by a program that has a Computer inside, however it ends
mod environment; // what a server's process gets to see
mod generations; // servers of every protocol generation
mod hostile; // misbehaving servers behind the program: what its client reads, and what a slow one costs
mod hostile_answers; // answers that are none, or not the right ones, or not only
mod hostile_http; // servers over HTTP that misbehave: what is said, and that they are never given up
mod hostile_lists; // handshakes and lists that are not as they must be
mod hostile_streams; // floods, and pipes that are closed, cut or not read
mod house; // the walls of DESIGN.md
mod http_entries; // servers that others wrote, over HTTP
mod http_front; // the HTTP front: sessions and what needs none, streams and how they are come back to
mod http_limits; // how much is taken over HTTP
mod http_security; // who gets in over HTTP
mod hung_calls; // calls that hang cost no thread and hinder nobody
mod hygiene; // nothing is left behind, whoever is killed
mod kept; // programs outlive the shell that started them where the configuration names them
mod kills; // nothing is left behind by a busy run that is killed at any moment
mod known_catalog; // lists that are answered before entries are up
mod lib_calls; // calls in this process: values, clocks, progress, cancellation
mod lib_crash; // an entry that ends by itself
mod lib_discovery; // how tools are found and named
mod lib_entries; // entries that come, go, stop and restart
mod lib_environment; // what a child inherits from the process that embeds the library
mod lib_health; // health and what mends it
mod lib_http; // HTTP entries: what goes out, what comes back, what is no answer
mod lib_http_network; // HTTP entries: redirects, credentials, certificates, proxies
mod lib_http_sessions; // HTTP entries: sessions that are lost, streams that are cut, servers that go and come
mod lib_hygiene; // nothing is left behind, without a guard
mod lib_jobs; // the shell: input, progress, jobs and terminals, in this process
mod lib_lifecycle; // starting and stopping a Computer
mod lib_provider; // what a host plugs into a server SDK
mod lib_reload; // another configuration for a Computer that runs
mod lib_secrets; // values that must not be seen, and how they are filled in
mod lib_shell; // run_command in this process
mod lib_status_tool; // what an agent learns of an entry that is not up
mod lib_told; // what the caller of what is down, or left out, reads
mod lib_truth; // health, the status tool, events and the log say the same
mod lib_vigil; // servers that go silent, and what a sleep of the machine leaves
mod limits; // what the processes of an entry use, and how much they may
mod logged; // what is said on stderr, as lines of JSON
mod login_shells; // the user's shell and its start-up files, as commands meet them
mod managed; // programs beside the entries: a Chrome, commands, children of the caller's
mod manual; // shells complete the verbs, and the man page has them all
mod on_demand; // entries that are up only when somebody uses them
mod one_truth; // `status`, the status tool and the log say the same
mod passing_through; // what goes through beside tools, in both directions and generations
mod policy; // what a shell's patterns let pass, and that real shells agree
mod real_clients; // clients that others wrote, over HTTP
mod real_servers; // servers and a client that others wrote
mod records; // what the daemon writes down, and what it counts
mod reload; // a config file that changes while it is served
#[cfg(feature = "sdk")]
mod sdk_later; // what later versions of the platform have: started sessions, workforce, tokens
#[cfg(feature = "sdk")]
mod sdk_media; // data in results of tools: uploaded, and named by where it is
#[cfg(feature = "sdk")]
mod sdk_node; // the example for Node: the platform's own SDK with the tools of a daemon
#[cfg(feature = "sdk")]
mod sdk_recordings; // the SDK does what recordings of the platform's own have, but for that one's accidents
#[cfg(feature = "sdk")]
mod sdk_rest; // sessions, agents, files and workers of a platform
#[cfg(feature = "sdk")]
mod sdk_results; // what the platform is sent of each result that a tool can give
#[cfg(feature = "sdk")]
mod sdk_run; // `computer run`: one turn of a session, with the tools of this computer
#[cfg(feature = "sdk")]
mod sdk_sockets; // turns that are asked for over a socket
#[cfg(feature = "sdk")]
mod sdk_tools; // tools of a session: static, in groups, those of a Computer; hooks
#[cfg(feature = "sdk")]
mod sdk_trouble; // platforms that refuse, stall, cut, or say what nobody understands
#[cfg(feature = "sdk")]
mod sdk_whole; // the complete example: files, a shell and a browser in one turn
mod serve_modern; // the stdio front for clients of 2026-07-28
mod serve_stdio; // the stdio front: what goes in and out, byte for byte
mod service; // units that are written, started and taken away
mod sharp_edges; // servers that misbehave on cue
mod shell; // run_command
mod supervised; // what a service manager is told, and the sockets that it hands over
mod sweep; // what a killed run has left is ended by the next one, and nobody else
mod turns; // entries that are asked only so much at a time
mod values; // what a handler makes of a result
