import Foundation
import PostgresProcess
import Testing

@Suite struct SupervisedProcessTests {
    @Test func theExitStatusAndTheOutputOfAProgramAreReturned() async throws {
        let result = try await SupervisedProcess.run(.init("/bin/sh", ["-c", "cat; echo oops >&2; exit 7"]), input: "in")
        #expect(result.status == 7 && result.output == "in" && result.errors == "oops\n")
    }

    @Test func aFailureIsAnErrorWithWhatTheProgramSaid() async throws {
        await #expect(throws: PostgresProcessError.commandFailed(program: "sh", status: 3, message: "no | luck")) {
            try await SupervisedProcess.runChecked(.init("/bin/sh", ["-c", "echo no >&2; echo luck >&2; exit 3"]))
        }
    }

    @Test func aProgramThatIsMissingIsNamed() {
        #expect(throws: PostgresProcessError.programMissing("/nonexistent/program")) {
            try SupervisedProcess.start(.init("/nonexistent/program"))
        }
    }

    @Test func aProgramThatTakesTooLongIsKilled() async throws {
        await #expect(throws: PostgresProcessError.timedOut(what: "sleep", after: .milliseconds(200))) {
            try await SupervisedProcess.run(.init("/bin/sleep", ["60"]), limit: .milliseconds(200))
        }
    }

    @Test func aCancelledTaskEndsItsProgram() async throws {
        let task = Task { try await SupervisedProcess.run(.init("/bin/sleep", ["60"])) }
        try await Task.sleep(for: .milliseconds(100))
        task.cancel()
        #expect(try await task.value.status == 128 + 15)
    }

    @Test func terminateKillsWhatIgnoresTheSignal() async throws {
        try await withTemporaryFolder { folder in
            let process = try SupervisedProcess.start(.init("/bin/sh", ["-c", "trap '' TERM; : >'\(folder)/deaf'; while :; do sleep 0.05; done"]))
            while !FileManager.default.fileExists(atPath: folder + "/deaf") { try await Task.sleep(for: .milliseconds(5)) }
            let status = await process.terminate(grace: .milliseconds(200))
            #expect(status == 128 + 9 && !ProcessTree.isAlive(process.pid))
        }
    }

    /// That a killed *starter* takes its programs with it is tested on the demo (Tests/System/DemoTests).
    @Test func aKilledProgramLeavesNoSupervisorBehind() async throws {
        let marker = "pgmosaic-orphan-\(UUID().uuidString)"
        let process = try SupervisedProcess.start(.init("/bin/sh", ["-c", "while :; do sleep 0.05; done # \(marker)"]))
        #expect(ProcessTree.isAlive(process.pid) && !ProcessTree.pids(withCommandLineContaining: marker).isEmpty)
        #expect(await process.terminate(SIGKILL) == 128 + 9)
        var left = ProcessTree.pids(withCommandLineContaining: marker)
        for _ in 0..<3000 where !left.isEmpty {
            try await Task.sleep(for: .milliseconds(20))
            left = ProcessTree.pids(withCommandLineContaining: marker)
        }
        #expect(left.isEmpty)
    }
}
