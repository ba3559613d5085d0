import Foundation
import NIOCore
import ReplicationFuzzing
import WireFuzzing

#if LIBFUZZER
/// libFuzzer has the main function and chooses the inputs. To build and run it, beside the ordinary build, with a message of each kind to start from:
///
///     swift run ReplicationFuzz --write-corpus corpus
///     swift build --scratch-path .build/fuzz --product ReplicationFuzz --sanitize fuzzer -Xswiftc -DLIBFUZZER -Xswiftc -parse-as-library
///     .build/fuzz/debug/ReplicationFuzz corpus -max_total_time=60 -max_len=4096
///
/// An input that ends it is left in a file `crash-…`; the program with that file as its argument repeats it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    do throws(WireFuzzer.Finding) {
        try ReplicationFuzzer.run(ByteBuffer(bytes: UnsafeBufferPointer(start: start, count: count)))
    } catch {
        preconditionFailure(error.what)
    }
    return 0
}
#else
/// Spoiled messages for the decoder of logical replication: `ReplicationFuzz [--runs N] [--seed N]`, or libFuzzer's first inputs:
/// `ReplicationFuzz --write-corpus FOLDER`.
@main
enum ReplicationFuzz {
    static func main() throws {
        if let folder = option("--write-corpus") { return try writeCorpus(to: folder) }
        let runs = option("--runs").flatMap { Int($0) } ?? 1_000_000
        let seed = option("--seed").flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("seed \(seed); to repeat: ReplicationFuzz --seed \(seed) --runs \(runs)")
        var mutator = WireMutator(seed: seed, seeds: PGOutputSamples.bytes())
        for run in 0..<runs {
            let input = run % 2 == 0 ? mutator.next() : mutator.spoiled(mutator.seed())
            do throws(WireFuzzer.Finding) {
                try ReplicationFuzzer.run(input)
            } catch {
                print("finding in run \(run): \(error.what)\ninput: \(input.hexDump(format: .plain))")
                throw error
            }
        }
        print("\(runs) inputs, no finding")
    }

    private static func writeCorpus(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (number, message) in PGOutputSamples.bytes().enumerated() {
            try Data(message.readableBytesView).write(to: URL(fileURLWithPath: "\(folder)/\(number)"))
        }
    }

    private static func option(_ name: String) -> String? {
        let arguments = CommandLine.arguments
        guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else { return nil }
        return arguments[index + 1]
    }
}
#endif
