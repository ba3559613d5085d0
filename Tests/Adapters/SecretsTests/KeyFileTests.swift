import Foundation
import Secrets
import Testing

@Suite struct KeyFileTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-keys-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private func mode(_ path: String) throws -> Int {
        (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue ?? -1
    }

    @Test func aNewKeyIsMadeOnceForOneselfOnlyAndReadAgain() async throws {
        try await withFolder { folder in
            let path = folder + "/key"
            let first = try SecretBox.loadOrCreate(path: path)
            #expect(try mode(path) == 0o600)
            let sealed = first.seal("s", context: "")
            #expect(try SecretBox.loadOrCreate(path: path).open(sealed, context: "") == "s")
            #expect(try SecretBox.load(path: path).open(sealed, context: "") == "s")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["key"])
        }
    }

    @Test func processesThatStartAtOnceComeToTheSameKey() async throws {
        try await withFolder { folder in
            let sealed = try await withThrowingTaskGroup(of: SecretBox.self) { group in
                for _ in 0..<16 { group.addTask { try SecretBox.loadOrCreate(path: folder + "/key") } }
                var boxes: [SecretBox] = []
                for try await box in group { boxes.append(box) }
                let sealed = boxes[0].seal("s", context: "")
                for box in boxes { #expect(try box.open(sealed, context: "") == "s") }
                return sealed
            }
            #expect(try SecretBox.load(path: folder + "/key").open(sealed, context: "") == "s")
        }
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o660, 0o666])
    func aFileThatOthersMayReadIsRefused(_ mode: Int) async throws {
        try await withFolder { folder in
            let path = folder + "/key"
            _ = try SecretBox.loadOrCreate(path: path)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            #expect(throws: SecretError(.keyFileOpenToOthers, path: path)) { try SecretBox.load(path: path) }
            #expect(throws: SecretError(.keyFileOpenToOthers, path: path)) { try SecretBox.loadOrCreate(path: path) }
        }
    }

    @Test(arguments: ["", "pgmosaic-key-1 ", "pgmosaic-key-1 AAAA\n", "pgmosaic-key-2 AAAA\n", "whatever"])
    func aFileWithoutAKeyIsRefusedAndLeftAsItIs(_ content: String) async throws {
        try await withFolder { folder in
            let path = folder + "/key"
            _ = FileManager.default.createFile(atPath: path, contents: Data(content.utf8), attributes: [.posixPermissions: 0o600])
            #expect(throws: SecretError(.keyFileDamaged, path: path)) { try SecretBox.loadOrCreate(path: path) }
            let kept = try String(contentsOfFile: path, encoding: .utf8)
            #expect(kept == content)
        }
    }

    @Test func aMissingFileAndAFolderThatIsNotThereSaySo() async throws {
        try await withFolder { folder in
            #expect(throws: SecretError(.keyFileMissing, path: folder + "/none")) { try SecretBox.load(path: folder + "/none") }
            #expect(throws: SecretError(.keyFileUnwritable, path: folder + "/no/key")) { try SecretBox.loadOrCreate(path: folder + "/no/key") }
        }
    }
}
