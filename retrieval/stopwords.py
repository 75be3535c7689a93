"""Function words of each language that the stemmer knows: articles, pronouns, prepositions, question words.

They do two things: they are left out of the index, and counting them tells the language of a page. The lists are short
on purpose and hold no word that anybody would search for; the large public lists count "information", "computer" and
"microsoft" as stop words of English. Words are case folded, without apostrophes: "don't" is read as "don" and "t".

English stands first: it wins ties.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

_LISTS: dict[str, str] = {
    "english": """
        a an the this that these those there here i me my mine we our ours you your yours he him his she her
        hers it its they them their theirs myself yourself himself herself itself ourselves themselves is are
        was were be been being am do does did doing done has have had having can could will would shall should
        might must of in on at by for with from to into onto upon about as and or nor but if than then so such
        not no very also too what which who whom whose how when where why much many any some s t ll re ve don
        didn isn
        """,
    "german": """
        der die das den dem des ein eine einen einem einer eines und oder aber als wenn weil dass daß ob nicht
        kein keine keinen ich mich mir du dich dir er ihn ihm sie es wir uns ihr ihre ihren ihrer sein seine
        seinen seiner ist sind war waren bin bist wird werden wurde wurden worden hat haben hatte hatten kann
        können muss soll sollen von vom zu zum zur in im an am auf aus bei mit nach für über unter vor durch
        um auch nur noch wie was wer wo wann warum welche welcher welches welchem welchen wieviel so sich
        dieser diese dieses diesem diesen man
        """,
    "french": """
        le la les un une des du de au aux et ou mais où donc ni car si que qui quoi dont quel quelle quels
        quelles combien comment quand pourquoi ce cet cette ces je tu il elle on nous vous ils elles me te se
        lui leur leurs y en mon ma mes ton ta tes son sa ses notre nos votre vos dans par pour sur avec sans
        sous entre chez est sont était étaient été être sera ont avait avoir fait ne pas plus comme aussi l d
        j m n s t c qu
        """,
    "spanish": """
        el la los las un una unos unas de del al a y e o u que en por para con sin sobre entre desde hasta no
        se su sus lo le les me te nos mi tu es son era eran fue fueron ser está están ha han había como más
        pero si este esta estos estas ese esa eso esto qué quién quiénes cuál cuáles cuánto cuántos cuánta
        cuántas cuándo cómo dónde también muy
        """,
    "portuguese": """
        o a os as um uma uns umas de do da dos das em no na nos nas ao aos à às por pelo pela pelos pelas para
        com sem sobre entre e ou que se não mais mas como seu sua seus suas ele ela eles elas eu nós me lhe é
        são era eram foi foram ser está estão tem têm há este esta isto esse essa isso aquele qual quais quem
        quanto quantos quando onde também muito já
        """,
    "italian": """
        il lo la i gli le un uno una di del dello della dei degli delle a al allo alla ai agli alle da dal
        dalla dai dalle in nel nello nella nei nelle su sul sulla sui sulle con per tra fra e ed o ma che chi
        cui non si se come più anche è sono era erano essere stato stata ha hanno aveva questo questa questi
        queste quello quella quale quali quanto quanti quando dove perché io tu lui lei noi voi loro suo sua
        suoi l d c s un dell all nell dall sull
        """,
    "dutch": """
        de het een en of maar van in op te ten ter aan bij met voor door over onder naar uit om tot als dat
        dit die deze is zijn was waren wordt worden werd werden heeft hebben had kan kunnen zal zullen niet
        geen ik je jij u hij zij ze wij we hun haar er ook nog wel dan wat wie waar wanneer hoe hoeveel welke
        waarom zich
        """,
    "swedish": """
        och att det i en ett som på är av för med till den de inte har om var men så vi han hon jag du kan när
        från vid eller hur vad vilka vilken vilket vem varför där här denna detta dessa sig sin sitt sina hade
        blir blev ska skulle under över efter mot också
        """,
    "danish": """
        og at det i en et som på er af for med til den de ikke har om var men så vi han hun jeg du kan når fra
        ved eller hvor hvad hvilke hvilken hvilket hvem hvorfor der her denne dette disse sig sin sit sine
        havde bliver blev skal skulle under over efter mod også
        """,
    "norwegian": """
        og at det i en et ei som på er av for med til den de ikke har om var men så vi han hun jeg du kan når
        fra ved eller hvor hva hvilke hvilken hvilket hvem hvorfor der her denne dette disse seg sin sitt sine
        hadde blir ble skal skulle under over etter mot også
        """,
    "finnish": """
        ja on ei se että oli ovat olla joka jotka jonka mutta tai kun kuin myös hän ne he me te minä sinä tämä
        nämä tämän sen sitä niin jos vain ole olisi mikä mitä mitkä missä milloin miksi miten kuka kuinka
        ovatko onko eivät sekä
        """,
    "hungarian": """
        a az és hogy nem is egy ez van volt meg de ha csak már mint vagy azt ezt ki mi mely amely lesz kell
        sem még el voltak vannak ami aki ezek azok hol mikor miért hogyan mennyi melyik szerint között által
        """,
    "romanian": """
        și în de la cu pe un o este sunt a al ale ai din care nu să se ca că mai pentru prin sau dar fi fost
        era ei el ea lui lor sale sa său ce cine când cum unde cât câte câți acest această aceste acestea după
        între fără
        """,
    "polish": """
        i w na z do nie się jest to że o jak za od po dla przez przy ale oraz lub są był była było były być ma
        może jego jej ich które który która czy kto kiedy gdzie dlaczego ile jaki jaka jakie ten ta te tym
        tego tej we ze
        """,
    "czech": """
        a v na je se že z s do o i to k ve pro za by ale jako po od jsou byl byla bylo byly být nebo když tak
        které který která jeho její jejich kdo kdy kde proč kolik jak jaký jaká jaké ten ta tento tato při
        podle ze ke není si
        """,
    "russian": """
        и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее её мне было
        вот от меня о из ему для мы их чем была сам чтоб без чего или быть был него до вас ни уже при это этот
        эта эти этого кто где когда почему сколько какой какая какие каков который которая которые является
        """,
    "serbian": """
        i u je da se na su za od sa s a o kao iz po ne ili koji koja koje će bi što te do to nije bio bila
        bilo šta ko gde kada zašto koliko kako и у је да се на су за од са као из по не или који која које ће
        би што те до то није био била било шта ко где када зашто колико како
        """,
    "greek": """
        ο η το οι τα του της των τον την τους τις στο στη στην στον στους στις στα και ή να θα δεν μη με σε
        από για που πως ως είναι ήταν έχει έχουν ένα μια ένας αυτό αυτή αυτός τι ποιος ποια ποιο πότε πού πόσο
        πόσα γιατί αλλά κατά
        """,
    "turkish": """
        ve bir bu da de için ile olarak olan çok daha en ne gibi ama veya ise kadar sonra göre her o şu mi mı
        mu mü ya ki hangi kim nasıl neden nerede kaç değil var yok olduğu oldu tarafından
        """,
    "catalan": """
        el la els les un una uns unes de del dels al als i o que en amb per a no es se seu seva seus seves són
        és era ha han com més però si aquest aquesta aquests què qui quin quina quins quines quan quant quants
        on perquè també l d
        """,
    "basque": """
        eta da ez bat du dira zen ere baina edo izan dute den hau hori bere dituzte ziren beste zer nor non
        noiz nola zein zenbat zergatik gabe arte oso
        """,
    "irish": """
        an na agus ar i is a go ag le do sé sí bhí tá ní gur nach ach nó mar ó de faoi chun seo sin cad cé
        cathain conas cá
        """,
    "estonian": """
        ja on ei see et oli kui ka aga või mis kes kus millal miks kuidas mitu ta nad me ma sa selle seda ning
        olla oma nii veel
        """,
    "lithuanian": """
        ir yra į iš kad su ne tai kaip bet ar buvo už nuo prie apie dėl jis ji jie kas kur kada kodėl kiek
        koks kokia šis ši būti pagal per
        """,
    "indonesian": """
        yang dan di dari ke dengan untuk pada adalah ini itu dalam tidak akan oleh atau juga sebagai karena
        ada telah dapat bahwa saya anda dia mereka kami kita apa siapa kapan mana mengapa bagaimana berapa
        """,
    "esperanto": """
        la kaj de en al estas estis ne kiu kiuj kio kie kiam kiel kial kiom por kun sur per ke li ŝi ĝi ili ni
        vi mi aŭ sed ĉu tiu tiuj ĉi el
        """,
    "sesotho": """
        le ya ba ka ho ke e ha la tsa wa mme empa hore o di bo kapa eng mang neng hobaneng jwang
        """,
    "arabic": """
        في من على إلى عن أن إن كان كانت هذا هذه ذلك تلك التي الذي الذين هو هي هم ما لا لم لن قد مع أو و ثم كل
        بين عند ماذا متى أين كيف كم لماذا هل
        """,
    "persian": """
        و در به از که این را با است برای آن یک خود تا بر هم نیز می شود شد بود اما یا هر ها های چه کی کجا چرا
        چگونه چند
        """,
    "hindi": """
        के का की में है हैं और को से पर यह वह इस उस एक कि जो ने तो ही भी नहीं था थी थे हो कर या क्या कौन कब
        कहाँ क्यों कैसे कितना कितने
        """,
    "nepali": """
        र को का मा छ छन् हो ले लाई यो त्यो पनि भने बाट गर्न भएको थियो के कसरी किन कहाँ कति
        """,
    "tamil": """
        ஒரு இது அது என்று மற்றும் உள்ள இந்த அந்த என்ன யார் எப்போது எங்கே ஏன் எப்படி எத்தனை
        """,
    "armenian": """
        և ու է են էր էին որ մեջ համար հետ այս այդ նա ոչ թե կամ ինչ ով երբ որտեղ ինչու ինչպես քանի
        """,
    "yiddish": """
        און איז די דער דאָס אין צו פֿון אַז מיט אויף ניט עס ער זי וואָס ווער ווען וווּ פֿאַרוואָס
        """,
}

STOP_WORDS: Mapping[str, frozenset[str]] = {
    name: frozenset(unicodedata.normalize("NFKC", words).casefold().split()) for name, words in _LISTS.items()
}
"""Language, as the stemmer names it -> its function words, in NFKC and case folded."""
