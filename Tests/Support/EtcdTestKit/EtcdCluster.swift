package import CatalogEtcd
internal import CatalogStore
package import Foundation
internal import NIOPosix
package import PostgresProcess
internal import Synchronization

/// An etcd cluster of one or more members for tests, in a folder that goes with it.
package final class EtcdCluster: Sendable {
    /// PEM files; the members then speak TLS only, and ask for a client's certificate where `clientAuthorities` is given.
    package struct TLS: Sendable {
        package var certificate: String
        package var key: String
        package var authorities: String
        package var asksForCertificate = false

        package init(certificate: String, key: String, authorities: String) {
            (self.certificate, self.key, self.authorities) = (certificate, key, authorities)
        }
    }

    private struct Member: Sendable {
        var name: String
        var clientPort: Int
        var peerPort: Int
        var process: SupervisedProcess?
    }

    package let folder: String
    private let tls: TLS?
    private let token: String
    private let arguments: [String]
    private let members: Mutex<[Member]>

    /// Runs `body` with a cluster that is ready, and ends it.
    package static func with<Value>(
        members: Int = 1, tls: TLS? = nil, arguments: [String] = [], _ body: (EtcdCluster) async throws -> Value
    ) async throws -> Value {
        let cluster = try await started(members, tls, arguments)
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(cluster))
        } catch {
            result = .failure(error)
        }
        await cluster.end()
        return try result.get()
    }

    /// A port that was free may be taken by now: then with others.
    package static func started(_ members: Int = 1, _ tls: TLS? = nil, _ arguments: [String] = []) async throws -> EtcdCluster {
        var last: any Error = EtcdTestError(description: "etcd was not started")
        for _ in 0..<4 {
            let cluster = try EtcdCluster(members, tls, arguments)
            do {
                for index in 0..<members { try cluster.launch(index) }
                try await cluster.waitUntilReady()
                return cluster
            } catch {
                last = error
                await cluster.end()
            }
        }
        throw last
    }

    private init(_ count: Int, _ tls: TLS?, _ arguments: [String]) throws {
        folder = NSTemporaryDirectory() + "pgmosaic-etcd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        (self.tls, self.arguments) = (tls, arguments)
        token = UUID().uuidString
        members = Mutex(
            try (0..<count).map { Member(name: "m\($0)", clientPort: try LoopbackPort.free(), peerPort: try LoopbackPort.free(), process: nil) })
    }

    package func end() async {
        for index in 0..<count { await kill(index) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: where

    package var count: Int { members.withLock(\.count) }
    package func port(_ index: Int = 0) -> Int { members.withLock { $0[index].clientPort } }

    /// `port`: of a proxy before the only member.
    package func location(port: Int? = nil, prefix: String = EtcdLocation.defaultPrefix) -> EtcdLocation {
        let ports = port.map { [$0] } ?? members.withLock { $0.map(\.clientPort) }
        var location = EtcdLocation(endpoints: ports.map { .init(host: "127.0.0.1", port: $0) })
        location.prefix = prefix
        if let tls {
            location.tls = .init()
            location.tls?.authorities = tls.authorities
        }
        return location
    }

    package func open(
        port: Int? = nil, prefix: String = EtcdLocation.defaultPrefix, isManager: Bool = true, timing: EtcdTiming = EtcdTiming()
    ) async throws -> EtcdCatalogStore {
        try await EtcdCatalogStore(
            location(port: port, prefix: prefix), isManager: isManager, on: MultiThreadedEventLoopGroup.singleton, timing: timing)
    }

    // MARK: members

    private func launch(_ index: Int) throws {
        let scheme = tls == nil ? "http" : "https"
        let (member, all) = members.withLock { ($0[index], $0) }
        var words = [
            "--name", member.name, "--data-dir", "\(folder)/\(member.name)",
            "--listen-client-urls", "\(scheme)://127.0.0.1:\(member.clientPort)", "--advertise-client-urls", "\(scheme)://127.0.0.1:\(member.clientPort)",
            "--listen-peer-urls", "http://127.0.0.1:\(member.peerPort)", "--initial-advertise-peer-urls", "http://127.0.0.1:\(member.peerPort)",
            "--initial-cluster", all.map { "\($0.name)=http://127.0.0.1:\($0.peerPort)" }.joined(separator: ","), "--initial-cluster-state", "new",
            "--initial-cluster-token", token, "--logger", "zap", "--log-level", "warn",
        ]
        if let tls {
            words += ["--cert-file", tls.certificate, "--key-file", tls.key]
            if tls.asksForCertificate { words += ["--client-cert-auth", "--trusted-ca-file", tls.authorities] }
        }
        guard let program = SupervisedProcess.find("etcd") else { throw EtcdTestError(description: "etcd is missing (Debian package etcd-server)") }
        let process = try SupervisedProcess.start(
            .init(program, words + arguments, environment: ["PATH": "/usr/bin:/bin"], output: .file("\(folder)/\(member.name).log"), orphanSignal: "KILL"))
        members.withLock { $0[index].process = process }
    }

    /// Ends it as a crash would.
    package func kill(_ index: Int) async {
        guard let process = members.withLock({ $0[index].process }) else { return }
        process.signal(SIGKILL)
        process.signal(SIGCONT)
        await process.waitForExit()
        members.withLock { $0[index].process = nil }
    }

    package func restart(_ index: Int) async throws {
        await kill(index)
        try launch(index)
    }

    /// Freezes it: connections stay, nothing is answered.
    package func pause(_ index: Int) { members.withLock { $0[index].process }?.signal(SIGSTOP) }
    package func resume(_ index: Int) { members.withLock { $0[index].process }?.signal(SIGCONT) }

    /// Every member answers, and has a leader. `isOpen`: also to etcdctl, which is nobody.
    package func waitUntilReady(isOpen: Bool = true) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let dead = members.withLock { $0.first { $0.process?.exitStatus != nil } }
            if let dead { throw EtcdTestError(description: "\(dead.name) ended: \(log(dead.name))") }
            let health = try await etcdctl("endpoint", "health")
            if health.status == 0 || !isOpen && (health.errors + health.output).contains("user name is empty") { return }
            guard deadline > .now else { throw EtcdTestError(description: "etcd does not become ready: \(log("m0"))") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func log(_ name: String) -> String {
        String((try? String(contentsOfFile: "\(folder)/\(name).log", encoding: .utf8))?.suffix(600) ?? "")
    }

    /// The member that leads.
    package func leader() async throws -> Int {
        for _ in 0..<100 {
            for index in 0..<count {
                let result = try await etcdctl(only: index, "endpoint", "status", "-w", "json")
                guard result.status == 0, let object = try? JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]],
                    let status = object.first?["Status"] as? [String: Any], let header = status["header"] as? [String: Any],
                    let own = header["member_id"] as? UInt64, let leader = status["leader"] as? UInt64
                else { continue }
                if own == leader { return index }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw EtcdTestError(description: "no member leads")
    }

    // MARK: etcdctl

    package func etcdctl(_ words: String...) async throws -> CommandResult { try await etcdctl(nil, words) }
    package func etcdctl(words: [String]) async throws -> CommandResult { try await etcdctl(nil, words) }
    package func etcdctl(only index: Int, _ words: String...) async throws -> CommandResult { try await etcdctl(index, words) }

    /// Puts bytes of any kind.
    package func put(_ key: String, _ value: Data) async throws {
        let file = "\(folder)/\(UUID().uuidString)"
        try value.write(to: URL(fileURLWithPath: file))
        let shell = SupervisedProcess.Command(
            "/bin/sh", ["-c", "etcdctl --endpoints \"$1\" put -- \"$2\" <\"$3\"", "sh", "http://127.0.0.1:\(port())", key, file],
            environment: ["ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"])
        try await SupervisedProcess.runChecked(shell)
    }

    private func etcdctl(_ index: Int?, _ words: [String]) async throws -> CommandResult {
        guard let program = SupervisedProcess.find("etcdctl") else { throw EtcdTestError(description: "etcdctl is missing (Debian package etcd-client)") }
        let scheme = tls == nil ? "http" : "https"
        let ports = index.map { [port($0)] } ?? members.withLock { $0.map(\.clientPort) }
        var options = ["--endpoints", ports.map { "\(scheme)://127.0.0.1:\($0)" }.joined(separator: ","), "--command-timeout", "3s", "--dial-timeout", "2s"]
        if let tls { options += ["--insecure-skip-tls-verify", "--cert", tls.certificate, "--key", tls.key] }
        return try await SupervisedProcess.run(.init(program, options + words, environment: ["ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"]))
    }

    /// As `etcdctl`, and throws when it reports a failure.
    @discardableResult
    package func etcdctlChecked(_ words: String...) async throws -> String {
        let result = try await etcdctl(nil, words)
        guard result.status == 0 else { throw EtcdTestError(description: "etcdctl \(words.joined(separator: " ")): \(result.lastLines)") }
        return result.output
    }
}

package struct EtcdTestError: Error, CustomStringConvertible {
    package var description: String
    package init(description: String) { self.description = description }
}

extension EtcdTiming {
    /// For checks that cause no fault: a busy machine is none.
    package static var patient: EtcdTiming {
        var timing = EtcdTiming()
        timing.call = .seconds(60)
        timing.attempt = .seconds(30)
        timing.whole = .seconds(120)
        return timing
    }

    /// For checks that cause faults: calls end within a second or two.
    package static var brief: EtcdTiming {
        var timing = EtcdTiming()
        timing.call = .seconds(1)
        timing.attempt = .milliseconds(500)
        timing.resolution = .seconds(1)
        timing.patience = .milliseconds(500)
        timing.pollInterval = .milliseconds(200)
        return timing
    }
}
