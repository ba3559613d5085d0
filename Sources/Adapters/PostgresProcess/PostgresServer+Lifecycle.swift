import Foundation

extension PostgresServer {
    /// How a server is asked to stop.
    package enum StopMode: Sendable {
        /// Open transactions are rolled back, data is flushed.
        case fast
        /// As after a crash: the next start recovers.
        case immediate
    }

    /// Starts the server and returns once it takes connections. Does nothing while it runs.
    package func start() async throws(PostgresProcessError) {
        if pid != nil { return }
        guard isPrepared else { throw .folderUnusable(path: dataDirectory, reason: "no server was made in it") }
        try refuseOtherServer()
        _ = try LoopbackPort.claim(port)
        try writeSettings()
        let logStart = (try? FileManager.default.attributesOfItem(atPath: options.logFile)[.size] as? Int) ?? 0
        let process = try SupervisedProcess.start(
            SupervisedProcess.Command(
                installation.path(of: "postgres"), ["-D", dataDirectory],
                environment: ["PATH": "/usr/bin:/bin", "LC_ALL": options.locale, "PGDATA": dataDirectory],
                workingDirectory: "/", account: account, output: .file(options.logFile),
                orphanSignal: options.durability == .none ? "QUIT" : "INT"))
        self.process = process
        try await waitUntilReady(process, logStart: logStart)
    }

    /// Stops the server; returns when all of its processes are gone. Does nothing while it is down.
    package func stop(_ mode: StopMode = .fast, limit: Duration = .seconds(30)) async {
        guard let process else { return }
        resume()
        await process.terminate(mode == .fast ? SIGINT : SIGQUIT, grace: limit)
        self.process = nil
    }

    /// `kill -9` of the server and its backends: what the kernel's out-of-memory killer does. Returns when they are gone, or the next start would find their memory in use.
    package func kill() async {
        guard let process else { return }
        // Stopped, it makes no more of them.
        process.signal(SIGSTOP)
        let backends = ProcessTree.children(of: process.pid)
        process.signal(SIGKILL)
        for backend in backends { Glibc.kill(backend, SIGKILL) }
        await process.waitForExit()
        let deadline = ContinuousClock.now + .seconds(30)
        while backends.contains(where: ProcessTree.isAlive), ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(2)) }
        paused = []
        self.process = nil
    }

    package func restart(_ mode: StopMode = .fast) async throws(PostgresProcessError) {
        await stop(mode)
        try await start()
    }

    /// Freezes the server with all its backends (SIGSTOP): connections stay open, and nothing is answered.
    package func pause() {
        guard let process, process.exitStatus == nil, paused.isEmpty else { return }
        process.signal(SIGSTOP)
        paused = ProcessTree.children(of: process.pid)
        for backend in paused { Glibc.kill(backend, SIGSTOP) }
    }

    package func resume() {
        for backend in paused { Glibc.kill(backend, SIGCONT) }
        paused = []
        process?.signal(SIGCONT)
    }

    /// postmaster.pid tells of a live server here that is not ours; PostgreSQL's own message would be a page long.
    private func refuseOtherServer() throws(PostgresProcessError) {
        guard let other = PostmasterFile(in: dataDirectory), ProcessTree.isAlive(other.pid),
            ProcessTree.pids(withCommandLineContaining: dataDirectory).contains(other.pid)
        else { return }
        throw .alreadyRunning(path: dataDirectory, pid: other.pid)
    }

    private func waitUntilReady(_ process: SupervisedProcess, logStart: Int) async throws(PostgresProcessError) {
        let deadline = ContinuousClock.now + options.startLimit
        while true {
            if process.exitStatus != nil {
                self.process = nil
                throw startFailure(logStart: logStart)
            }
            if let file = PostmasterFile(in: dataDirectory), file.pid == process.pid, file.takesConnections { return }
            if ContinuousClock.now > deadline {
                await process.terminate(SIGQUIT, grace: .seconds(5))
                self.process = nil
                throw .timedOut(what: "the start of PostgreSQL in \(dataDirectory)", after: options.startLimit)
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    private func startFailure(logStart: Int) -> PostgresProcessError {
        let log = FileManager.default.contents(atPath: options.logFile) ?? Data()
        let text = String(decoding: log.dropFirst(logStart), as: UTF8.self)
        if text.contains("Address already in use") { return .portTaken(port) }
        let lines = text.split(separator: "\n").filter { $0.contains("FATAL") || $0.contains("could not") }
        let message = lines.last ?? text.split(separator: "\n").last ?? "it wrote nothing to \(options.logFile)"
        return .startFailed(path: dataDirectory, message: String(message))
    }
}

/// The file by which a running server says who and how far it is. PostgreSQL documents its lines in miscadmin.h.
private struct PostmasterFile {
    var pid: Int32
    var takesConnections: Bool

    init?(in folder: String) {
        guard let text = try? String(contentsOfFile: folder + "/postmaster.pid", encoding: .utf8) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, let pid = Int32(first) else { return nil }
        self.pid = pid
        let status = lines.count > 7 ? lines[7].trimmingCharacters(in: .whitespaces) : ""
        takesConnections = status == "ready" || status == "standby" && lines.count > 7
    }
}
