import Testing
import CChecksum
