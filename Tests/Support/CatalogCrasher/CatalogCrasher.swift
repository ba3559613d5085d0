import CatalogSQLite
import CatalogStore
import Foundation
import ShardModel

/// A process of its own for the tests of the SQLite catalog, to be killed, starved and kept out.
///
///     CatalogCrasher commit PATH [COUNT]   commits until COUNT commits or the first error, printing each acknowledged epoch
///     CatalogCrasher watch PATH            prints each epoch that a watch delivers, until it is killed
///     CatalogCrasher limited PATH BYTES    as `commit`, unable to write any file beyond BYTES
///     CatalogCrasher humble PATH [COUNT]   as `commit`, under an account without privileges when it is started as root
///
/// An error is the last line of the output: "error " and its case.
@main struct CatalogCrasher {
    static func main() async {
        signal(SIGXFSZ, SIG_IGN)
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count >= 2 else { return say("usage: commit|watch|limited|humble PATH [NUMBER]") }
        let number = arguments.count > 2 ? Int(arguments[2]) : nil
        do throws(CatalogError) {
            switch arguments[0] {
            case "commit": try await commit(arguments[1], count: number ?? .max)
            case "watch": try await watch(arguments[1])
            case "limited": try await commit(arguments[1], count: .max, bytesMax: number)
            case "humble":
                giveUpPrivileges()
                try await commit(arguments[1], count: number ?? .max)
            default: say("usage: commit|watch|limited|humble PATH [NUMBER]")
            }
        } catch {
            say("error \(error)")
        }
    }

    /// Each commit has a small record and one of some pages, so that most kills fall into the writing of something.
    private static func commit(_ path: String, count: Int, bytesMax: Int? = nil) async throws(CatalogError) {
        let store = try await SQLiteCatalogStore(path: path)
        if let bytesMax { limitFiles(to: bytesMax) }
        say("opened")
        var done = 0
        while done < count {
            let epoch = try await store.load().epoch
            let number = epoch.number + 1
            let change = CatalogChange(
                [.setSetting(name: "n", value: String(number)), .setSetting(name: "padding \(number % 7)", value: String(repeating: "x", count: 9000))],
                author: "crasher")
            do throws(CatalogError) {
                _ = try await store.commit(change, expecting: epoch)
            } catch {
                if case .conflict = error { continue }
                throw error
            }
            say(String(number))
            done += 1
        }
        await store.close()
    }

    private static func watch(_ path: String) async throws(CatalogError) {
        let store = try await SQLiteCatalogStore(path: path)
        say("opened")
        for await snapshot in store.watch(after: try await store.load().epoch) { say(String(snapshot.epoch.number)) }
    }

    /// Permission bits do not bind root. 65534 is nobody on every Linux.
    private static func giveUpPrivileges() {
        guard geteuid() == 0 else { return }
        guard setgroups(0, nil) == 0, setgid(65534) == 0, setuid(65534) == 0 else { return say("error: privileges cannot be given up") }
    }

    private static func limitFiles(to bytes: Int) {
        var limit = rlimit(rlim_cur: rlim_t(bytes), rlim_max: rlim_t(bytes))
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    }

    private static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}
