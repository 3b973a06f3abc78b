/* What libgammu reads in PDUs: a filter for tests/engine/gammu_sms.py.
 *
 * Takes one PDU per line in hexadecimal, service centre in front, and answers each with one line of fields, parted by
 * tabs in the order that `answer` prints them.  Everything that is printed was decoded by libgammu; the only thing
 * that is worked out here is where the fields of a SUBMIT with seven octets of validity stand, for GSM_DecodePDUFrame
 * refuses the enhanced format and steps over the absolute one, while GSM_DecodeSMSFrame reads what it is shown.
 */

#include <stdio.h>
#include <string.h>

#include <gammu.h>

enum {
	LONGEST = 256, /* octets of a PDU; the service centre takes up to 12 and the TPDU up to 164 */
	NOWHERE = 255, /* of a layout: the field is not there */
	VALIDITY = 7,  /* octets of TP-VP, absolute and enhanced */
	ENHANCED = 1,  /* TP-VPF, 3GPP TS 23.040 9.2.3.3 */
	ABSOLUTE = 3,
};

static int nibble(char digit)
{
	if (digit >= '0' && digit <= '9') return digit - '0';
	if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
	if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
	return -1;
}

/* The octets of a line; -1 where it is not hexadecimal or too long. */
static int unhex(const char *line, unsigned char *octets)
{
	int count = 0;

	for (; nibble(line[0]) >= 0 && nibble(line[1]) >= 0; line += 2) {
		if (count == LONGEST) return -1;
		octets[count++] = (unsigned char)(nibble(line[0]) << 4 | nibble(line[1]));
	}
	return *line == '\n' || *line == '\0' ? count : -1;
}

static void hex(const unsigned char *octets, int count)
{
	putchar('\t');
	for (int i = 0; i < count; i++) printf("%02x", octets[i]);
}

static void moment(const GSM_DateTime *when)
{
	printf("\t%d %d %d %d %d %d %d", when->Year, when->Month, when->Day, when->Hour, when->Minute, when->Second,
	       when->Timezone);
}

/* Where the fields of a SUBMIT with seven octets of validity stand. */
static GSM_SMSMessageLayout submit(const unsigned char *tpdu)
{
	GSM_SMSMessageLayout layout;

	memset(&layout, NOWHERE, sizeof(layout));
	layout.firstbyte = 0;
	layout.TPMR = 1;
	layout.Number = 2;
	layout.TPPID = (unsigned char)(4 + (tpdu[2] + 1) / 2); /* length and type are two octets, then two digits each */
	layout.TPDCS = layout.TPPID + 1;
	layout.DateTime = layout.TPDCS + 1;
	layout.TPUDL = layout.DateTime + VALIDITY;
	layout.Text = layout.TPUDL + 1;
	return layout;
}

static void answer(unsigned char *pdu, int length)
{
	static GSM_SMSMessage message, framed;
	unsigned char *tpdu = pdu + 1 + pdu[0];
	int format = (tpdu[0] & 3) == 1 ? tpdu[0] >> 3 & 3 : 0;
	GSM_SMSMessageLayout layout;
	GSM_Error error, framed_error;

	memset(&message, 0, sizeof(message));
	memset(&framed, 0, sizeof(framed));
	error = GSM_DecodePDUFrame(NULL, &message, pdu, (size_t)length, NULL, TRUE);
	if (format == ENHANCED || format == ABSOLUTE) {
		layout = submit(tpdu);
	} else {
		/* The reply path and the rejection of duplicates are read by the other decoder alone. */
		memset(&layout, NOWHERE, sizeof(layout));
		layout.firstbyte = 0;
	}
	framed_error = GSM_DecodeSMSFrame(NULL, &framed, tpdu, layout);

	printf("%d\t%d", (int)(format == ENHANCED ? framed_error : error), (int)message.PDU);
	hex(message.SMSC.Number, 2 * (int)UnicodeLength(message.SMSC.Number));
	printf("\t%d\t%d", framed.ReplyViaSameSMSC ? 1 : 0, framed.RejectDuplicates ? 1 : 0);
	if (format == ENHANCED) message = framed;
	hex(message.Number, 2 * (int)UnicodeLength(message.Number));
	printf("\t%d\t%d\t%d\t%d", message.MessageReference, message.ReplaceMessage, (int)message.Coding,
	       message.Class);
	printf("\t%d\t%d", (int)message.SMSC.Validity.Format, (int)message.SMSC.Validity.Relative);
	hex(message.UDH.Text, message.UDH.Length);
	printf("\t%d", message.Length);
	switch (message.Coding) {
	case SMS_Coding_Default_No_Compression:
		hex(message.Text, 2 * (int)UnicodeLength(message.Text));
		break;
	case SMS_Coding_Unicode_No_Compression:
		/* Twice as long as it says: it may have written some characters twice. */
		hex(message.Text, 4 * message.Length);
		break;
	default:
		hex(message.Text, message.Length);
	}
	printf("\t%d", message.DeliveryStatus);
	moment(&message.SMSCTime);
	moment(format == ABSOLUTE ? &framed.DateTime : &message.DateTime);
	putchar('\n');
}

int main(void)
{
	/* libgammu reads behind the end of what is cut short: there are zeros. */
	static unsigned char pdu[4 * LONGEST];
	static char line[4 * LONGEST];

	/* Whatever libgammu falls over, the answers to the PDUs before it are out. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		int length;

		memset(pdu, 0, sizeof(pdu));
		length = unhex(line, pdu);
		if (length < 2 || pdu[0] + 1 >= length) {
			puts("-1");
			continue;
		}
		answer(pdu, length);
	}
	return 0;
}
