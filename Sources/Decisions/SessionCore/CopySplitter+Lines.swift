internal import PGWire
internal import RoutePlanning

/// Where lines end: CopyReadLineText.
extension CopySplitter {
    private static let newline: UInt8 = 0x0a
    private static let carriageReturn: UInt8 = 0x0d
    private static let backslash: UInt8 = 0x5c

    /// nil: more data is needed to tell. `isComplete`: there is no more.
    mutating func readLine(
        _ data: UnsafeRawBufferPointer, from start: Int, isComplete: Bool
    ) throws(ServerError) -> CopyLine? {
        let line =
            plan.format == .csv
            ? try unsafe readCSVLine(data, from: start, isComplete) : try unsafe readTextLine(data, from: start, isComplete)
        if line == nil, isComplete { return CopyLine(end: data.count, next: data.count, isLast: true) }
        return line
    }

    private mutating func readTextLine(
        _ data: UnsafeRawBufferPointer, from start: Int, _ isComplete: Bool
    ) throws(ServerError) -> CopyLine? {
        var position = start + progress.scanned
        while true {
            position = unsafe scans.text.next(in: data, from: position, to: data.count)
            progress.scanned = position - start
            guard position < data.count else { return nil }
            switch unsafe data[position] {
            case Self.backslash:
                switch try unsafe marker(data, at: position, isComplete) {
                case .undecided: return nil
                case .marker(let next): return CopyLine(end: position, next: next, isLast: true)
                case .none: position = min(position + 2, data.count)
                }
            default:
                return try unsafe lineEnd(data, at: position, isComplete)
            }
        }
    }

    private mutating func readCSVLine(
        _ data: UnsafeRawBufferPointer, from start: Int, _ isComplete: Bool
    ) throws(ServerError) -> CopyLine? {
        // In CSV the marker is one only when it stands alone on a line, for it can be data.
        if progress.scanned == 0, unsafe data[start] == Self.backslash {
            switch try unsafe marker(data, at: start, isComplete) {
            case .undecided: return nil
            case .marker(let next): return CopyLine(end: start, next: next, isLast: true)
            case .none: break
            }
        }
        let hasEscape = plan.escape != plan.quote
        // Inside of quotes PostgreSQL counts lines by one byte of the line end, and before the first line's end by \r.
        let counted = lineEnd == .newline ? Self.newline : Self.carriageReturn
        var position = start + progress.scanned
        while true {
            let found = unsafe (progress.isInQuotes ? scans.csvQuoted : scans.csv).next(in: data, from: position, to: data.count)
            if found > position { progress.lastWasEscape = false }
            position = found
            progress.scanned = position - start
            guard position < data.count else { return nil }
            let byte = unsafe data[position]
            if progress.isInQuotes, hasEscape, byte == plan.escape {
                progress.lastWasEscape.toggle()
            } else {
                if byte == plan.quote, !progress.lastWasEscape { progress.isInQuotes.toggle() }
                progress.lastWasEscape = false
            }
            if byte == Self.newline || byte == Self.carriageReturn {
                if !progress.isInQuotes { return try unsafe lineEnd(data, at: position, isComplete) }
                if byte == counted { lineNumber += 1 }
            }
            position += 1
            progress.scanned = position - start
        }
    }

    /// A newline or carriage return that is no data stands at `position`.
    private mutating func lineEnd(
        _ data: UnsafeRawBufferPointer, at position: Int, _ isComplete: Bool
    ) throws(ServerError) -> CopyLine? {
        if unsafe data[position] == Self.newline {
            guard lineEnd == .unknown || lineEnd == .newline else { throw strayLineEnd(isNewline: true) }
            lineEnd = .newline
            return CopyLine(end: position, next: position + 1, isLast: false)
        }
        switch lineEnd {
        case .newline: throw strayLineEnd(isNewline: false)
        case .carriageReturn: break
        case .unknown, .both:
            guard position + 1 < data.count || isComplete else { return nil }
            if position + 1 < data.count, unsafe data[position + 1] == Self.newline {
                lineEnd = .both
                return CopyLine(end: position, next: position + 2, isLast: false)
            }
            guard lineEnd == .unknown else { throw strayLineEnd(isNewline: false) }
            lineEnd = .carriageReturn
        }
        return CopyLine(end: position, next: position + 1, isLast: false)
    }

    private enum Marker { case none, undecided, marker(next: Int) }

    /// Whether the backslash at `position` begins the end marker `\.` with the line end behind it.
    private func marker(
        _ data: UnsafeRawBufferPointer, at position: Int, _ isComplete: Bool
    ) throws(ServerError) -> Marker {
        guard position + 1 < data.count else { return isComplete ? .none : .undecided }
        guard unsafe data[position + 1] == UInt8(ascii: ".") else { return .none }
        var next = position + 2
        if lineEnd == .both {
            guard next < data.count || isComplete else { return .undecided }
            let byte = unsafe next < data.count ? data[next] : 0
            if byte != Self.carriageReturn {
                if plan.format == .csv { return .none }
                throw badMarker(mismatches: byte == Self.newline)
            }
            next += 1
        }
        guard next < data.count || isComplete else { return .undecided }
        let byte = unsafe next < data.count ? data[next] : 0
        guard byte == Self.newline || byte == Self.carriageReturn else {
            if plan.format == .csv { return .none }
            throw badMarker(mismatches: false)
        }
        let expected: UInt8? =
            switch lineEnd {
            case .unknown: nil
            case .newline, .both: Self.newline
            case .carriageReturn: Self.carriageReturn
            }
        guard expected == nil || byte == expected else { throw badMarker(mismatches: true) }
        return .marker(next: next + 1)
    }
}
