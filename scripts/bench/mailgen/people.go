package main

import (
	"fmt"
	"strings"
)

var vocab = map[string][]string{
	"en": strings.Fields(`the to and of a in for is on that we you this with be as have it are will please from at by can not
 your if or our any all but meeting report team project customer order invoice update review draft attached document time week
 day month number list server backup mailbox message account password request change issue ticket problem release build
 version schedule budget quote contract payment delivery address office call phone client service support migration storage
 index folder disk network error log test result table figure summary agenda minutes proposal offer discount price shipping
 track package holiday travel flight hotel booking ticket train room floor building kitchen coffee lunch dinner friday monday
 tomorrow yesterday morning evening quarter revenue growth target plan risk legal review policy security update patch kernel
 driver memory cache thread lock queue buffer packet router switch cable printer laptop monitor keyboard license renewal
 because although however therefore before after between during about under over again still never always often really quite
 question answer idea reason example detail page chapter section line word letter name group member board chair office`),
	"de": strings.Fields(`der die das und ist nicht mit für von auf eine wir Sie bitte können über Besprechung Rechnung Angebot
 Änderung Straße Gespräch nächste Woche Prüfung Anhang Grüße Büro Kunde Vertrag Lieferung schöne Übersicht Zahlung größer
 möglich Bestätigung Mitglied Postfach Sicherung löschen später früher müssen dürfen würde hätte während außer gemäß`),
	"fr": strings.Fields(`le la les des est une pour avec dans vous nous réunion facture été déjà prêt où à modèle élève français
 reçu commande livraison détail problème système sécurité message boîte réponse hôtel forêt garçon être après très bientôt`),
	"es": strings.Fields(`el la los de que y en un por con para más año señor mañana reunión información también número teléfono
 dirección según así está análisis página último envío pedido factura gestión atención niño corazón común razón`),
	"ru": strings.Fields(`и в не на что мы вы это как но по для заказ счёт договор встреча письмо вложение отчёт проект сервер
 почта неделя завтра сегодня просьба подтвердить оплата доставка спасибо уважением вопрос ответ срок документ`),
	"el": strings.Fields(`και το να της για με από που είναι στο συνάντηση παραγγελία τιμολόγιο αύριο έγγραφο ευχαριστώ απάντηση`),
	"he": strings.Fields(`של את על לא זה עם גם כל פגישה הזמנה חשבונית מחר שבוע תודה מסמך שרת דואר הודעה`),
	"ar": strings.Fields(`في من على إلى هذا مع اجتماع فاتورة طلب غدا أسبوع شكرا وثيقة خادم بريد رسالة`),
}

var given = strings.Fields(`Anna Boris Chiara David Elena Farid Greta Hiro Ines Jonas Karin Luis Maya Nikos Olga Pavel Quentin
 Rosa Stefan Tuula Ulla Viktor Wanda Xavier Yusuf Zoë Jürgen Søren François Łukasz Þóra Iñaki Márta Živa`)
var family = strings.Fields(`Abe Bauer Costa Dubois Eriksen Fischer Garcia Huber Ivanov Jansen Kowalski Larsen Müller Nakamura
 Olsen Petrov Quinn Rossi Schmidt Tanaka Ueda Virtanen Weber Xu Yilmaz Zeman Gößling Núñez Øvergård Dvořák O'Brien`)
var domains = strings.Fields(`example.com example.org example.net mail.example.com corp.example lists.example.org shop.example
 bank.example uni.example.edu dept.uni.example.edu isp.example gov.example news.example travel.example`)

type person struct{ name, addr string }

func (g *gen) person(k int) person {
	r := newRng(g.seed, 77, uint64(k))
	gn, fn := r.pick(given), r.pick(family)
	local := strings.Map(func(c rune) rune {
		if c < 128 && (c >= 'a' && c <= 'z') {
			return c
		}
		return -1
	}, strings.ToLower(gn+"."+fn))
	if local == "" {
		local = "user"
	}
	return person{gn + " " + fn, fmt.Sprintf("%s%d@%s", local, k, r.pick(domains))}
}
