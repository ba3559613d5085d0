import NIOCore
import WireFuzzing

#if LIBFUZZER
/// Built with `-sanitize=fuzzer`: libFuzzer has the main function and chooses the inputs (docs/internals/protocol.md).
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
/// Spoiled messages for every parser, for a bounded time: `WireFuzz [--seconds 10] [--seed N]`.
@main
enum WireFuzz {
    static func main() throws {
        let seconds = option("--seconds").flatMap { Double($0) } ?? 10
        let seed = option("--seed").flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("seed \(seed); to repeat: WireFuzz --seed \(seed) --seconds \(seconds)")
        var mutator = WireMutator(seed: seed, seeds: WireSeeds.messages())
        let end = ContinuousClock.now + .seconds(seconds)
        var runs = 0
        while ContinuousClock.now < end {
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

    private static func option(_ name: String) -> String? {
        let arguments = CommandLine.arguments
        guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else { return nil }
        return arguments[index + 1]
    }
}
#endif
