import Foundation
import PostgresProcess
import Testing

/// docs/guide/operating.md, word by word.
@Suite(.serialized) struct OperatingGuideTests {
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..").standardizedFileURL.path

    /// The ports that the page names.
    private static let ports = [
        "2379", "2380", "3379", "3380", "4379", "4380", "5433", "5434", "6432", "6433", "6434", "8081", "8082", "8083", "8084", "8085", "8086",
    ]

    @Test func theOperatingGuideDoesWhatItShows() async throws {
        try await withServers { folder, servers in
            var numbers: [String: String] = ["5433": "\(servers[0].port)", "5434": "\(servers[1].port)"]
            for port in Self.ports where numbers[port] == nil { numbers[port] = "\(try LoopbackPort.free())" }
            let text = try String(contentsOfFile: Self.repository + "/docs/guide/operating.md", encoding: .utf8)
            let page = ShellPage(text) { text in
                text.replacing(/\b\d{4}\b/.wordBoundaryKind(.simple)) { numbers[String($0.output)] ?? String($0.output) }
                    .replacing("/etc/pgmosaic", with: folder + "/etc").replacing("/var/lib/pgmosaic", with: folder + "/lib")
                    .replacing("/var/log/pgmosaic", with: folder + "/log")
            }
            #expect(page.blocks.count > 10 && page.blocks.count { $0.output != nil } > 8 && page.leftOut == 2)
            let result = try await run(page, in: folder)
            let outputs = page.outputs(in: result.output)
            for (block, output) in zip(page.blocks, outputs) where block.output != nil {
                #expect(ShellPage.matches(output, block.output ?? ""), "operating.md, line \(block.line) prints:\n\(output)")
            }
            let last = page.blocks[max(0, outputs.count - 1)]
            #expect(result.status == 0, "operating.md, line \(last.line) failed:\n\(outputs.last ?? "")\n\(result.errors.suffix(2000))\n\(logs(folder))")
        }
    }

    @Test(arguments: ["manager", "router"]) func aUnitIsGoodForSystemd(role: String) async throws {
        guard let program = SupervisedProcess.find("systemd-analyze") else { return }
        let folder = NSTemporaryDirectory() + "pgmosaic-units-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let text = try String(contentsOfFile: "\(Self.repository)/deploy/systemd/pgmosaic-\(role)@.service", encoding: .utf8)
        let unit = "\(folder)/pgmosaic-\(role)@a.service"
        // The program need not be installed here.
        try text.replacing("/usr/local/bin/pgmosaic", with: Self.program).write(toFile: unit, atomically: true, encoding: .utf8)
        let result = try await SupervisedProcess.run(.init(program, ["verify", unit]))
        #expect(result.status == 0 && !result.errors.contains(unit), "\(result.errors)")
        for line in ["LimitCORE=0", "Environment=SWIFT_BACKTRACE=enable=no", "User=pgmosaic", "NoNewPrivileges=yes"] { #expect(text.contains("\n\(line)\n"), "\(line)") }
    }

    // MARK: the machine that the page is for

    private static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    /// Two PostgreSQL servers with TLS and passwords, and what the page says that one has.
    private func withServers(_ body: @Sendable (_ folder: String, [PostgresServer]) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-guide-\(UUID().uuidString)"
        for part in ["etc", "lib", "log", "bin", "run", "data"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(part)", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let settings = try await tlsSettings(folder)
        var servers: [PostgresServer] = []
        let result: Result<Void, any Error>
        do {
            for name in ["east", "west"] {
                let password = "\(name)-\(UUID().uuidString)"
                try Data((password + "\n").utf8).write(to: URL(fileURLWithPath: "\(folder)/etc/\(name).pw"))
                servers.append(
                    try await PostgresServer.create(
                        .init(
                            dataDirectory: "\(folder)/data/\(name)", superuser: "app", password: password, authentication: .scram,
                            settings: settings.merging(["shared_buffers": "16MB"]) { $1 })))
                try await servers.last?.createDatabase("shop")
            }
            result = .success(try await body(folder, servers))
        } catch {
            result = .failure(error)
        }
        // Also what a page that failed half way has left.
        for pid in ProcessTree.pids(withCommandLineContaining: folder) where !ProcessTree.isPostgres(pid) { kill(pid, SIGKILL) }
        for server in servers { await server.stop(.immediate) }
        try result.get()
    }

    private func tlsSettings(_ folder: String) async throws -> [String: String] {
        let (certificate, key) = (folder + "/data/server.pem", folder + "/data/server.key")
        let openssl = try #require(SupervisedProcess.find("openssl"))
        let words = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=shards",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ]
        try await SupervisedProcess.runChecked(.init(openssl, words))
        try FileManager.default.copyItem(atPath: certificate, toPath: folder + "/etc/shards-ca.pem")
        if let account = try UnprivilegedAccount.needed() { chown(key, account.userID, account.groupID) }
        return ["ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key]
    }

    private func run(_ page: ShellPage, in folder: String) async throws -> CommandResult {
        try FileManager.default.createSymbolicLink(atPath: folder + "/bin/pgmosaic", withDestinationPath: Self.program)
        try Self.systemctl.write(toFile: folder + "/bin/systemctl", atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder + "/bin/systemctl")
        try page.script.write(toFile: folder + "/page.sh", atomically: true, encoding: .utf8)
        let path = "\(folder)/bin:\(try PostgresInstallation.find().binDirectory):/usr/local/bin:/usr/bin:/bin"
        let environment = ["PATH": path, "HOME": folder, "LC_ALL": "C.UTF-8", "COLUMNS": "200", "SCRATCH": folder, "UNITS": Self.repository + "/deploy/systemd"]
        return try await SupervisedProcess.run(.init("/bin/bash", [folder + "/page.sh"], environment: environment), limit: .seconds(1200))
    }

    private func logs(_ folder: String) -> String {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder + "/log")) ?? []).filter { $0.hasSuffix(".log") }.sorted()
        return names.map { "\($0):\n" + ((try? String(contentsOfFile: "\(folder)/log/\($0)", encoding: .utf8)) ?? "").suffix(700) }.joined(separator: "\n")
    }

    /// In place of systemd: starts the command of a unit with the environment of the unit, and ends it by SIGTERM.
    private static let systemctl = #"""
        #!/bin/bash
        action=$1; shift
        [ "$1" = --now ] && shift
        for name; do
          unit=$UNITS/${name%@*}@.service
          pid=$SCRATCH/run/$name
          if [ $action != enable ] && [ -e $pid ]; then
            kill -TERM $(cat $pid) 2> /dev/null
            while kill -0 $(cat $pid) 2> /dev/null; do sleep 0.1; done
            rm $pid
          fi
          [ $action = stop ] && continue
          command=$(sed -n 's/^ExecStart=//p' $unit | sed "s#%i#${name#*@}#; s#/etc/pgmosaic#$SCRATCH/etc#; s#/usr/local/bin/pgmosaic#$SCRATCH/bin/pgmosaic#")
          variables=$(sed -n 's/^Environment=//p' $unit)
          cd $SCRATCH/lib
          env -i PATH=/usr/bin:/bin $variables $command >> $SCRATCH/log/$name.log 2>&1 < /dev/null &
          echo $! > $pid
        done
        """#
}

extension ProcessTree {
    /// Those are stopped by the test that started them.
    fileprivate static func isPostgres(_ pid: Int32) -> Bool {
        let name = (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) ?? ""
        return name.hasPrefix("postgres") || name.hasPrefix("sh")
    }
}
