import Foundation
import PostgresProcess

/// One demo folder, and the program that works in it.
struct Demo {
    let folder: String

    /// The built program, beside the test bundle.
    static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    /// `pgmosaic demo WORDS --dir FOLDER`
    func run(_ words: [String]) async throws -> CommandResult {
        try await SupervisedProcess.run(.init(Self.program, ["demo"] + words + ["--dir", folder]), limit: .seconds(600))
    }

    /// Detached, and for a new folder on free ports.
    func start(_ words: [String]) async throws -> CommandResult {
        let isNew = !FileManager.default.fileExists(atPath: folder + "/plan.json")
        let ports = isNew ? ["--wire-port", "0", "--router-port", "0", "--manager-port", "0"] : []
        return try await run(["run"] + words + ports + ["--detach"])
    }

    func description() throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/demo.json"))
        return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }

    /// What runs of it.
    /// Command lines of `processes`, but for the shell in which the test has run `demo stop`: it watches for the test's end, and may outlive the command by a moment.
    var commands: [String] {
        processes.compactMap { pid in
            let command = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8).replacing("\0", with: " ")
            // It has ended in between.
            guard let command, !command.isEmpty else { return nil }
            return command.contains(" supervisor ") && command.contains(" demo stop ") ? nil : command
        }
    }

    /// For as long as that may take on a busy machine.
    func waitUntilNothingRuns() async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while !processes.isEmpty, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(50)) }
    }

    var processes: [Int32] { ProcessTree.pids(withCommandLineContaining: folder).filter(ProcessTree.isAlive) }

    @discardableResult
    func psql(_ dsn: String, _ sql: String) async throws -> String { try await Self.psql(dsn, sql) }

    /// The rows, unaligned.
    static func psql(_ dsn: String, _ sql: String) async throws -> String {
        let psql = try PostgresInstallation.find().path(of: "psql")
        let command = SupervisedProcess.Command(psql, ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", sql])
        return try await SupervisedProcess.runChecked(command).output.trimmingCharacters(in: .newlines)
    }
}

/// Stops what is left and removes the folder, whatever happened. Every account may enter it: PostgreSQL's may be another than ours.
func withDemoFolder(_ body: (Demo) async throws -> Void) async throws {
    let folder = NSTemporaryDirectory() + "pgmosaic-demo-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    let demo = Demo(folder: folder)
    var failure: (any Error)?
    do {
        try await body(demo)
    } catch {
        failure = error
    }
    _ = try? await demo.run(["stop"])
    for pid in demo.processes { kill(pid, SIGKILL) }
    try? FileManager.default.removeItem(atPath: folder)
    if let failure { throw failure }
}

/// Somebody else's server on a port.
final class Listener {
    let port: Int
    private let descriptor: Int32

    init() throws {
        port = try LoopbackPort.free()
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard bound == 0, listen(descriptor, 1) == 0 else { throw PostgresProcessError.system(call: "bind", errno: errno) }
    }

    deinit { close(descriptor) }
}
