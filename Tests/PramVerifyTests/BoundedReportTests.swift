import Foundation
import Linux
import PRAM
import Testing

@testable import PramVerify

/// The reports in /run list a bounded number of things, and say how many they leave out.
@Suite struct BoundedReportTests {
    private func json(_ report: Report, listing limit: Int) throws -> [String: Any] {
        let path = NSTemporaryDirectory() + "bounded-\(UUID().uuidString)"
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try FileDescriptor.openForUpdate(Array(path.utf8))
        let output = Output(file.number, name: "test")
        JSONReport.write(report, to: output, listing: limit)
        try output.finish()
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test func whatIsLeftOutIsCounted() throws {
        var report = Report(command: "check")
        report.head = Head(
            origin: .procCmdline, page: nil, malformed: (0..<10).map { "pram=x\($0)" })
        let whole = try json(report, listing: .max)
        #expect((whole["findings"] as? [Any])?.count == 10)
        #expect(whole["omitted"] == nil)
        let bounded = try json(report, listing: 4)
        #expect((bounded["findings"] as? [Any])?.count == 4)
        #expect((bounded["omitted"] as? [String: Int]) == ["links": 0, "files": 0, "findings": 6])
    }
}
