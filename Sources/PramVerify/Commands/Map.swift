import KernelCommandLine
import Linux
import Machine
import MemoryPicture
import PRAM
import Parity
import Text
import Verification

/// `map`: physical memory as a picture, and the chain in it.
enum Map: Command {
    static let name: StaticString = "map"
    static let task = Task.look
    static let operands: StaticString = ""
    static let summary: StaticString = "draw memory, and where in it the chain lies and is damaged"
    static let example: StaticString = "map --svg map.svg"
    static let options: [Option] = Option.ofReading + [.root, .svg]
    static let kernelParameters: [BootParameter] = []
    static let writes = false

    static func run(_ call: Call, _ streams: Streams) throws(UsageError) -> ExitStatus {
        var report = Report(command: name)
        var view = View(call, streams.output)
        do throws(Failure) {
            try call.requireOperands(0...0)
            if let path = call[.svg], !isStandardOutput(path) { try refuse(path, call) }
            view.look(at: call)
            try view.look(&report)
        } catch { try report.end(by: error) }
        view.finish()
        var status = report.status
        if let path = call[.svg], isStandardOutput(path) {
            view.write(report, to: streams.output)
            report.failure?.explain(to: streams.errors)
            return status
        }
        view.print(report, streams)
        report.failure?.explain(to: streams.errors)
        if let path = call[.svg] {
            do throws(Failure) { try view.save(report, to: path) } catch {
                error.explain(to: streams.errors)
                status = status.union(error.status)
            }
        }
        return status
    }

    /// A picture takes the place of a file that was there, which had better not be the dump, or no file at all.
    private static func refuse(_ path: [UInt8], _ call: Call) throws(Failure) {
        guard let status = try? FileDescriptor.status(of: path) else { return }
        if !status.isRegular { throw .usage(UsageError("--svg \(escaped(path)) is not a regular file")) }
        if let memory = call[.memory], let dump = try? FileDescriptor.status(of: memory), dump.isSameFile(as: status) {
            throw .usage(UsageError("--svg names the dump itself"))
        }
    }
}

extension Map {
    /// What is looked at, on the way from the call to the pictures.
    struct View {
        private var call: Call
        private let text: PictureText
        private var ranges = DrawnRanges()
        private var background = Background([])
        private var drawing: ChainDrawing?
        /// For the terminal, and for the SVG where one is wanted.
        private var pictures: [Picture] = []
        private var files: [StoredFile] = []
        /// Whether there is memory to look at: a recorded machine has none but a dump.
        private var hasMemory = true
        /// Whether the recorded machine's own command line is to name the head.
        private var hasRecordedLine = false

        init(_ call: Call, _ output: Output) {
            self.call = call
            text = PictureText(for: output)
        }

        /// What the machine says, this one or a recorded one.
        mutating func look(at call: Call) {
            let paths = MachinePaths(root: call[.root] ?? [])
            let isRecorded = !paths.root.isEmpty
            let isLive = MemoryChoice(call[.memory]).isLive
            if isRecorded || isLive { ranges.add(paths) }
            if isRecorded {
                hasMemory = !isLive
                // Its own command line names the head.
                if !call.has(.pfn) && !call.has(.cmdline) && !call.has(.cmdlineFile),
                    FileDescriptor.exists(paths.commandLine)
                {
                    self.call.set(.cmdlineFile, paths.commandLine)
                    hasRecordedLine = true
                }
            }
            if let line = call[.cmdline] { ranges.add(ParameterLine(line)) }
            if let path = call[.cmdlineFile], let line = try? ParameterLine(file: path) { ranges.add(line) }
            background = ranges.background
        }

        /// Verifies the chain, and draws it.
        mutating func look(_ report: inout Report) throws(Failure) {
            let threads = try call.threadCount()
            guard hasMemory else {
                if let head = try? Head.find(call, live: false) { report.head = head }
                return
            }
            let choice = MemoryChoice(call[.memory])
            let chain = try OpenedChain.open(call, &report)
            defer { chain?.close() }
            if !choice.isLive {
                if let chain {
                    ranges.add(chain.memory)
                } else {
                    ranges.add(
                        try choice.open(base: call.base(), unpackLimit: call.unpackLimit(), raw: call.has(.raw)))
                }
                background = ranges.background
            }
            guard let chain else { return }
            let ends = Recovering.ends(call, choice, head: chain.head)
            let protection = protection(of: chain, ends)
            prepare(chain, protection?.geometry.back)
            let drawing = ChainDrawing(pictures)
            self.drawing = drawing
            var watch = OpenedChain.Watch()
            watch.judged = { drawing.take($0, $1, $2) }
            let evaluation = chain.verify(&report, threads: threads, watch: watch)
            files = evaluation.files
            if evaluation.verdict == .intact || !recover(chain, ends, threads, drawing, &report) {
                drawing.finish(evaluation, head: chain.head, in: chain.memory)
            }
            if let protection { drawing.take(protection, in: chain.memory) }
            pictures = drawing.pictures
        }

        /// Draws the chain anew, with its links where they belong.
        /// - Returns: false when nothing brings back anything: then what was drawn stays.
        private mutating func recover(
            _ chain: OpenedChain, _ ends: [UInt64], _ threads: Int, _ drawing: ChainDrawing, _ report: inout Report
        ) -> Bool {
            let fresh = ChainDrawing(pictures)
            do throws(ChainRecovery.Obstacle) {
                let recovery = try ChainRecovery(
                    head: chain.head, memory: chain.memory, ends: ends, threads: threads, seed: randomNumber()
                ) { fresh.take($0, $1, $2) }
                fresh.finish(recovery.evaluation, head: chain.head, in: recovery.linked)
                fresh.take(recovery)
                drawing.take(over: fresh)
                files = recovery.evaluation.files
                report.repair = RepairReport(recovery, after: recovery.evaluation)
                return true
            } catch {
                if error != .noParity { report.repair = RepairReport(error) }
                return false
            }
        }

        /// The links' copies, where there are any of just this chain.
        private func protection(of chain: OpenedChain, _ ends: [UInt64]) -> LinkRecovery? {
            for page in [chain.head.number &+ 1] + ends {
                if let links = LinkRecovery(locator: page, head: chain.head, in: chain.memory) { return links }
            }
            return nil
        }

        /// Without a chain the background alone is drawn.
        mutating func finish() {
            if pictures.isEmpty { prepare(nil, nil) }
        }

        /// Decides what is drawn.
        /// - Parameter back: a page that belongs to the chain, besides those that its links tell of.
        private mutating func prepare(_ chain: OpenedChain?, _ back: UInt64?) {
            var bounds = background.extent ?? 0..<0
            var extent = chain.flatMap {
                ChainDrawing.extent(of: $0.head, in: $0.memory, bounds: bounds.isEmpty ? 0..<Stretch.pageLimit : bounds)
            }
            if let known = extent, let back, back >= known.upperBound, bounds.contains(back) {
                extent = known.lowerBound..<back + 1
            }
            if bounds.isEmpty { bounds = extent ?? 0..<0 }
            // A machine's addresses begin at 0, whatever is there.
            if ranges.isMachines { bounds = 0..<max(bounds.upperBound, 1) }
            let range = ranges.reservedRange(around: chain?.head, on: background)
            let blocks = text.blocks(upTo: bounds.upperBound)
            let layouts: [(blocks: Int, rows: Int)] =
                [(blocks, 8)] + (call.has(.svg) ? [(PictureSVG.blocks, 10)] : [])
            pictures = layouts.map { layout in
                var wanted = [(name: Picture.Part.Name.all, pages: bounds, cells: layout.blocks * layout.rows)]
                if let range { wanted.append((.range, range, layout.blocks * layout.rows)) }
                if let extent { wanted.append((.chain, extent, layout.blocks * layout.rows)) }
                return Picture(background, wanted)
            }
        }

        // MARK: - What is said

        private var caption: PictureCaption {
            PictureCaption(isMachines: ranges.isMachines, names: ranges.names, files: files)
        }

        func print(_ found: Report, _ streams: Streams) {
            let output = streams.output
            var report = found
            if hasRecordedLine && report.head?.page != nil { report.head?.origin = .procCmdline }
            output.write("verdict: \(hasMemory ? report.verdict.name : "not looked at")\n")
            if let memory = report.memory {
                output.write("memory:  \(memory.path) (\(memory.kind))\n")
                for note in memory.notes { output.write("         \(note)\n") }
            }
            if let root = call[.root] { output.write("root:    \(escaped(root))\n") }
            TextReport.writeHead(report, output)
            for note in ranges.notes { output.write("note:    \(note)\n") }
            if let picture = pictures.first, !picture.parts.isEmpty { text.write(picture, caption, to: output) }
            report.repair?.write(to: output)
            if !hasMemory {
                streams.say("the files of a machine hold no memory: name a dump of it with --memory to see its chain")
            } else if report.verdict == .absent, report.head?.origin == .procCmdline, call.has(.memory),
                !MemoryChoice(call[.memory]).isLive
            {
                streams.say("no head was named for the dump: use --pfn, --cmdline or --cmdline-file")
            } else if report.failure == nil && report.verdict != .intact && report.verdict != .absent {
                streams.say("the chain is \(report.verdict.name); pram-verify check tells more")
            }
        }

        /// The SVG.
        func write(_ report: Report, to output: Output) {
            guard let picture = pictures.last else { return }
            let (headline, subtitle) = (headline(report), subtitle(report))
            PictureSVG.write(picture, caption, headline: headline, subtitle: subtitle) { output.write($0) }
        }

        /// Puts the SVG in its place, whole or not at all.
        func save(_ report: Report, to path: [UInt8]) throws(Failure) {
            guard !pictures.isEmpty else { return }
            let old = try? FileDescriptor.status(of: path)
            // What is replaced is the file, and not a link to it.
            let target = (try? canonicalPath(path)) ?? path
            try replaceFile(target, like: old, failing: { Failure.system($0, remedy: "") }) { file throws(Failure) in
                let output = Output(file.number, name: "the picture")
                write(report, to: output)
                do throws(SystemError) { try output.finish() } catch { throw .system(error, remedy: "") }
            }
        }

        private func headline(_ report: Report) -> String {
            guard hasMemory else { return "Memory of a recorded machine" }
            switch report.verdict {
            case .absent: return "Memory without a chain"
            case .intact, .damaged, .indeterminate:
                if report.failure != nil { return "Memory, as far as it can be told" }
                return Phrase("The chain in memory is \(report.verdict.name)").text
            }
        }

        private func subtitle(_ report: Report) -> String {
            var parts: [String] = []
            if let memory = report.memory { parts.append(Phrase("\(memory.path) (\(memory.kind))").text) }
            if let root = call[.root] { parts.append(Phrase("a recorded machine, \(escaped(root))").text) }
            if let page = report.head?.page { parts.append(Phrase("head at page \(hexadecimal(page.number))").text) }
            return parts.joined(separator: "; ")
        }
    }
}
