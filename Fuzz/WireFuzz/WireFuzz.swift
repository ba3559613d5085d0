import Foundation
import NIOCore
import WireFuzzing

#if LIBFUZZER
/// libFuzzer has the main function and chooses the inputs. To build and run it, beside the ordinary build, with whole sessions to start from:
///
///     swift run WireFuzz --write-corpus corpus
///     swift build --scratch-path .build/fuzz --product WireFuzz --sanitize fuzzer -Xswiftc -DLIBFUZZER -Xswiftc -parse-as-library
///     .build/fuzz/debug/WireFuzz corpus -max_total_time=60 -max_len=4096
///
/// An input that ends it is left in a file `crash-…`; the program with that file as its argument repeats it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    do throws(WireFuzzer.Finding) {
        try WireFuzzer.run(ByteBuffer(bytes: UnsafeBufferPointer(start: start, count: count)))
    } catch {
        preconditionFailure(error.what)
    }
    return 0
}
#else
/// Spoiled messages for every parser, for a bounded time or number: `WireFuzz [--seconds 10 | --runs N] [--seed N]`, or libFuzzer's first inputs:
/// `WireFuzz --write-corpus FOLDER`.
@main
enum WireFuzz {
    static func main() throws {
        if let folder = option("--write-corpus") { return try writeCorpus(to: folder) }
        let runsMax = option("--runs").flatMap { Int($0) }
        let seconds = runsMax == nil ? option("--seconds").flatMap { Double($0) } ?? 10 : 1e6
        let seed = option("--seed").flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("seed \(seed); to repeat: WireFuzz --seed \(seed) " + (runsMax.map { "--runs \($0)" } ?? "--seconds \(seconds)"))
        var mutator = WireMutator(seed: seed, seeds: WireSeeds.messages())
        let end = ContinuousClock.now + .seconds(seconds)
        var runs = 0
        while ContinuousClock.now < end, runs < runsMax ?? .max {
            for _ in 0..<100 {
                let input = mutator.next()
                do throws(WireFuzzer.Finding) {
                    try WireFuzzer.run(input)
                } catch {
                    print("finding in run \(runs): \(error.what)\ninput: \(input.hexDump(format: .plain))")
                    throw error
                }
                runs += 1
            }
        }
        print("\(runs) inputs, no finding")
    }

    private static func writeCorpus(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (number, message) in WireSeeds.messages().enumerated() {
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
